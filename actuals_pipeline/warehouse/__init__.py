"""Postgres: what is stored, how a day is replaced whole, and a server where there is none.

tables             the tables of the schema `actuals`, with units and constraints
migrations/        their history, applied by `actuals db upgrade`
store              atomic replacement of account-days, by COPY
embedded           a Postgres 18 for laptops and tests, shared by its users
embedded_place     where that server's files are and as whom it runs
embedded_keeper    the processes that end it with its last user
"""
