-- In the database kiosk, as kiosk_owner, once the tables are there and after every new version of the record:
-- a broker may add rows to the record, and change nothing but where it got to, and the sign-ins under way on phones.
GRANT SELECT, INSERT ON record, checkpoint TO kiosk_broker;
GRANT SELECT, UPDATE ON head TO kiosk_broker;
GRANT SELECT, INSERT, UPDATE ON sink TO kiosk_broker;
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in, sign_in_name TO kiosk_broker;
