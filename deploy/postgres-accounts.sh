#!/bin/sh
# Runs once, when the database is made: the pipeline's account, in a role that `actuals db roles`
# gives its rights.  The password goes through standard input and is in no process's arguments.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" << 'SQL'
\set password `cat /run/secrets/writer_password`
CREATE ROLE actuals_writer NOLOGIN;
CREATE ROLE actuals_reader NOLOGIN;
CREATE ROLE pipeline LOGIN PASSWORD :'password' IN ROLE actuals_writer;
SQL
