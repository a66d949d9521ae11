-- In the database kiosk, as kiosk_owner, once the tables are there and after every new version of the record:
-- a broker may add rows, and change nothing but where it got to.
GRANT SELECT, INSERT ON record, checkpoint TO kiosk_broker;
GRANT SELECT, UPDATE ON head TO kiosk_broker;
GRANT SELECT, INSERT, UPDATE ON sink TO kiosk_broker;
