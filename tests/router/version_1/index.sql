BEGIN TRANSACTION;
CREATE TABLE audit_outbox(seq INTEGER PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE object(
  id INTEGER PRIMARY KEY,
  sop_instance_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL,
  series_instance_uid TEXT NOT NULL, study_instance_uid TEXT NOT NULL, transfer_syntax_uid TEXT NOT NULL,
  digest TEXT NOT NULL, size INTEGER NOT NULL,
  pack TEXT, pack_offset INTEGER NOT NULL DEFAULT 0, length INTEGER NOT NULL DEFAULT 0,
  path TEXT NOT NULL, calling_ae TEXT NOT NULL, called_ae TEXT NOT NULL, received_at REAL NOT NULL,
  kind TEXT NOT NULL, settled_at REAL);
INSERT INTO "object" VALUES(1,'2.25.101','1.2.840.10008.5.1.4.1.1.2','2.25.1.1','2.25.1','1.2.840.10008.1.2.1','63641cd70734ff9b11c246b1592e6ef03b70b1b2a8d22d32ccde1db3bfb35cc3',446,'18ea6a1501cfd138-1.dcm',0,446,'modality-intake','GDCM','QIEROUTER',1.79536403992125225071e+09,'routed',NULL);
INSERT INTO "object" VALUES(2,'2.25.102','1.2.840.10008.5.1.4.1.1.2','2.25.1.1','2.25.1','1.2.840.10008.1.2.1','7056b24e952ad1adc75075873baf6110e6b8f4fde4314ff72dfeeab946064599',446,'18ea6a1501cfd138-1.dcm',446,446,'modality-intake','GDCM','QIEROUTER',1.7953640399233589172e+09,'routed',NULL);
INSERT INTO "object" VALUES(3,'2.25.103','1.2.840.10008.5.1.4.1.1.2','2.25.1.1','2.25.1','1.2.840.10008.1.2.1','eca5107a1526fa8ef17b3c159de9d578e6f225cc5707ccf43963d5663273c150',446,NULL,892,446,'modality-intake','GDCM','QIEROUTER',1.79536403992459774013e+09,'routed',1.7953640399265549183e+09);
CREATE TABLE tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO "tally" VALUES('accepted:ORTHANC',2);
INSERT INTO "tally" VALUES('accepted:cloud',3);
INSERT INTO "tally" VALUES('received:modality-intake',3);
INSERT INTO "tally" VALUES('bytes:modality-intake',1338);
INSERT INTO "tally" VALUES('delivered:cloud',2);
CREATE TABLE task(
  id INTEGER PRIMARY KEY, object_id INTEGER NOT NULL REFERENCES object(id), destination TEXT NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
  uncertain INTEGER NOT NULL DEFAULT 0, solo INTEGER NOT NULL DEFAULT 0, outage INTEGER NOT NULL DEFAULT 0,
  not_before REAL NOT NULL DEFAULT 0, first_attempt REAL, last_attempt REAL, settled_at REAL,
  status TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '');
INSERT INTO "task" VALUES(1,1,'ORTHANC',0,0,0,0,0,0,0.0,NULL,NULL,NULL,'','');
INSERT INTO "task" VALUES(2,1,'cloud',0,1,0,0,0,0,0.0,1.79536403992564797408e+09,1.79536403992564797408e+09,NULL,'','');
INSERT INTO "task" VALUES(3,2,'ORTHANC',0,0,0,0,0,0,0.0,NULL,NULL,NULL,'','');
INSERT INTO "task" VALUES(4,2,'cloud',3,1,0,0,0,0,0.0,1.79536403992564797408e+09,1.79536403992564797408e+09,1.7953640399265549183e+09,'0000','');
INSERT INTO "task" VALUES(5,3,'cloud',3,1,0,0,0,0,0.0,1.79536403992564797408e+09,1.79536403992564797408e+09,1.7953640399265549183e+09,'0000','');
CREATE INDEX object_uid ON object(sop_instance_uid);
CREATE INDEX object_pack ON object(pack) WHERE pack IS NOT NULL;
CREATE INDEX object_settled ON object(settled_at) WHERE settled_at IS NOT NULL;
CREATE UNIQUE INDEX task_object ON task(object_id, destination);
CREATE INDEX task_open ON task(destination, state, id) WHERE state < 3;
CREATE INDEX task_waiting ON task(destination, id) WHERE state = 0;
CREATE INDEX object_study ON object(study_instance_uid, received_at);
COMMIT;
PRAGMA user_version=1;
