-- Once, on the primary, as postgres: the account that makes the tables, the one that brokers use, and the database.
CREATE ROLE kiosk_owner LOGIN PASSWORD 'change: owner';
CREATE ROLE kiosk_broker LOGIN PASSWORD 'change: broker';
CREATE DATABASE kiosk OWNER kiosk_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE kiosk FROM PUBLIC;
GRANT CONNECT ON DATABASE kiosk TO kiosk_broker;
