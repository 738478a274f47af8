-- Version 2. A row while `adtally copy` fills the database: up to which sequence of the source it has.
CREATE TABLE copying (id bigint PRIMARY KEY, cursor bigint NOT NULL);
