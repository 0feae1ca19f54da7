"""The page: rows of the tables, told in plain data, drawn in one HTML file that needs no network.

reading (SQL) -> contents (plain data) -> charts (Vega-Lite) -> page (template, style, script)
"""
