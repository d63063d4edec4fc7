//! What is in the zip.

use std::io::Write as _;
use std::process::{Command, Stdio};

use efface::store::{PoolLimits, Store};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value as Sql};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::stage::{self, files, odd_house, odder_house, requested, text, town_request, written};
use crate::house::{ADA, EMAIL, FEEDBACK, House, Webhook};

/// Texts that something on the way could trip over.
const TEXTS: [&str; 12] = [
    "",
    " plain ",
    "quotes \" and ' and , and ;",
    "line\nbreak\r\nand tab\t.",
    "grüße 漢字 🦆 e\u{301} \u{202e}left\u{202c}",
    "<script>alert(\"x\")</script> & <b onclick='y'>",
    "=HYPERLINK(\"http://evil\")",
    "+49-555-0147",
    "-1+1",
    "@SUM(A1)",
    "\tcmd",
    "{\"not\": [\"json\"]} \\ \\n",
];

/// One row for each text, with ids that a float cannot hold.
async fn fill_odd(house: &House) {
    let backend = house.store().backend();
    for (n, text) in (0_i64..).zip(TEXTS) {
        let (cast, bytes) = if backend == DbBackend::Postgres { ("::numeric", "::json") } else { ("", "") };
        let sql = format!(
            r#"INSERT INTO "Odd" ("id","shopId","orderId","text","amount","flag","ratio","payload","bytes")
               VALUES ($1,$2,'1001',$3,$4{cast},$5,$6,$7{bytes},$8)"#
        );
        let values: Vec<Sql> = vec![
            (9_007_199_254_740_993 + n).into(),
            format!("id of {ADA}").into(),
            text.into(),
            "12345678901234567890.12".into(),
            (n % 2 == 0).into(),
            0.1.into(),
            "{\n  \"id\": 9007199254740993\n}".into(),
            vec![0_u8, 255].into(),
        ];
        house.store().db().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.unwrap();
    }
    let shop = format!("id of {ADA}");
    house
        .execute(&format!(
            r#"INSERT INTO "Odd" ("id","shopId","orderId","ratio") VALUES (7,'{shop}','1001',0.30000000000000004)"#
        ))
        .await;
    house
        .execute(&format!(r#"INSERT INTO "Odd" ("id","shopId","orderId","text") VALUES (8,'{shop}','1002','other')"#))
        .await;
}

/// Reads a zip from stdin with another language's tools, and says what is in it.
const READER: &str = r#"
import csv, hashlib, io, json, sys, zipfile
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
assert z.testzip() is None
m = json.loads(z.read("manifest.json"))
for t in m["tables"]:
    for f in t["files"]:
        assert hashlib.sha256(z.read(f["name"])).hexdigest() == f["sha256"], f["name"]
rows = json.loads(z.read("Odd.json"))
lines = list(csv.DictReader(io.StringIO(z.read("Odd.csv").decode("utf-8-sig"), newline="")))
assert len(rows) == len(lines), (len(rows), len(lines))
for row, line in zip(rows, lines):
    wanted = row["text"] or ""
    if wanted[:1] in ("=", "+", "-", "@", "\t", "\r"):
        wanted = "'" + wanted
    assert line["text"] == wanted, (line["text"], wanted)
    assert line["id"] == str(row["id"]), line
print(json.dumps({"rows": len(rows), "texts": [r["text"] for r in rows]}))
"#;

both_databases! {
    async fn rows_in_are_rows_out_in_every_file(house: House) {
        let app = odd_house(&house).await;
        fill_odd(&house).await;
        let job = requested(&house, &app, &["1001"]).await;
        let zip = written(&app, &job, None).await;
        let files = files(&zip);
        assert_eq!(
            files.keys().map(String::as_str).collect::<Vec<_>>(),
            ["Index-2.csv", "Index-2.json", "Note.csv", "Note.json", "Odd.csv", "Odd.json", "index.html", "manifest.json"]
        );
        let rows = stage::json(&files, "Odd.json");
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), TEXTS.len() + 1);
        let payload = "{\n  \"id\": 9007199254740993\n}";
        for (n, given) in TEXTS.iter().enumerate() {
            let id = (9_007_199_254_740_993 + n).to_string();
            let row = rows.iter().find(|row| row["id"] == id.as_str()).unwrap();
            // What SQLite keeps as text is text; line ends between the tokens of JSON mean nothing.
            let (flag, payload) = if house.is_sqlite() {
                (json!(i32::from(n % 2 == 0)), json!(payload))
            } else {
                (json!(n % 2 == 0), serde_json::from_str(payload).unwrap())
            };
            let expected = json!({
                "id": id, "orderId": "1001", "text": given, "amount": "12345678901234567890.12", "flag": flag,
                "ratio": 0.1, "payload": payload, "bytes": "\\x00ff",
            });
            assert_eq!(row, &expected);
        }
        let bare = rows.iter().find(|row| row["id"] == 7).unwrap();
        let expected = json!({
            "id": 7, "orderId": "1001", "text": null, "amount": null, "flag": null, "ratio": "0.30000000000000004",
            "payload": null, "bytes": null,
        });
        assert_eq!(bare, &expected);
        assert_eq!(text(&files, "Note.json"), "[]\n");

        let csv = text(&files, "Odd.csv");
        let mut reader = csv::Reader::from_reader(csv.strip_prefix('\u{feff}').unwrap().as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["id", "orderId", "text", "amount", "flag", "ratio", "payload", "bytes"]);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), TEXTS.len() + 1);
        for (n, given) in TEXTS.iter().enumerate() {
            let id = (9_007_199_254_740_993 + n).to_string();
            let record = records.iter().find(|record| record[0] == id).unwrap();
            let formula = given.starts_with(['=', '+', '-', '@', '\t']);
            assert_eq!(record[2], if formula { format!("'{given}") } else { (*given).to_owned() });
            assert_eq!(&record[3], "12345678901234567890.12");
        }

        let page = text(&files, "index.html");
        assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b onclick=&#39;y&#39;&gt;"));
        assert!(!page.contains("<script") && !page.contains("<b onclick"), "{page}");
        assert!(page.contains("Searched, and nothing was found: Note, Index."), "{page}");
        assert!(page.contains("hold nothing to be handed out: ReconciliationReport."), "{page}");
        assert!(page.contains("grüße 漢字 🦆"), "{page}");
    }

    async fn the_manifest_names_every_file_with_its_digest_and_nobody(house: House) {
        let job = town_request(&house).await;
        let zip = written(house.app(), &job, None).await;
        assert_eq!(written(house.app(), &job, None).await, zip, "the same package is the same bytes");
        let files = files(&zip);
        let manifest = stage::json(&files, "manifest.json");
        let package = stage::package(&house, &job).await;
        for (key, value) in [
            ("format", json!("efface-data-request")),
            ("formatVersion", json!(1)),
            ("packageId", json!(package.id)),
            ("jobId", json!(job)),
            ("shopDomain", json!(ADA)),
            ("dataRequestId", json!("9999")),
            ("rows", json!(18)),
            ("notExported", json!(["ReconciliationReport"])),
        ] {
            assert_eq!(manifest[key], value, "{key}");
        }
        let of_tables = manifest["tables"].as_array().unwrap().iter().flat_map(|table| table["files"].as_array().unwrap());
        let listed: Vec<&Value> = of_tables.chain(manifest["files"].as_array().unwrap()).collect();
        assert_eq!(listed.len(), files.len() - 1, "every file but the manifest itself");
        for file in listed {
            let bytes = &files[file["name"].as_str().unwrap()];
            assert_eq!(file["sha256"], hex::encode(Sha256::digest(bytes)).as_str(), "{file}");
            assert_eq!(file["bytes"], bytes.len());
        }
        let rows: Vec<(&str, u64)> = manifest["tables"].as_array().unwrap().iter()
            .map(|table| (table["name"].as_str().unwrap(), table["rows"].as_u64().unwrap())).collect();
        assert_eq!(rows, [("ConversionLog", 6), ("ConversionJob", 3), ("PixelEventReceipt", 6), ("SurveyResponse", 3)]);
        // Digests and ids of ours may hold any digits.
        let manifest = text(&files, "manifest.json");
        let told: Vec<&str> = manifest.lines().filter(|line| !line.contains("sha256") && !line.contains("Id\"")).collect();
        for personal in [EMAIL, FEEDBACK, "191167", "1001"] {
            assert!(!told.iter().any(|line| line.contains(personal)), "{personal}");
        }
        assert!(text(&files, "SurveyResponse.json").contains(FEEDBACK));
    }

    async fn a_customer_of_whom_nothing_is_held_gets_a_package_that_says_so(house: House) {
        house.settle_town().await;
        let job = house.done(&Webhook::data_request(ADA, &["4711"])).await;
        let files = files(&written(house.app(), &job.id, None).await);
        assert!(text(&files, "index.html").contains("Nothing is stored about this customer."));
        assert_eq!(stage::json(&files, "manifest.json")["rows"], 0);
        assert_eq!(text(&files, "SurveyResponse.json"), "[]\n");
        assert_eq!(text(&files, "SurveyResponse.csv").lines().count(), 1);
    }

    async fn a_part_that_was_taken_away_or_moved_makes_no_package(house: House) {
        let job = town_request(&house).await;
        house.execute(r#"UPDATE "ExportPart" SET "sequence" = "sequence" + 10"#).await;
        house.execute(r#"UPDATE "ExportPart" SET "sequence" = 13 - "sequence" WHERE "sequence" IN (10, 11, 12, 13)"#).await;
        assert!(house.app().packages().write_to(stage::operator(), &job, None, Vec::new()).await.is_err(), "swapped");
        house.execute(r#"DELETE FROM "ExportPart" WHERE "sequence" = 3"#).await;
        assert!(house.app().packages().write_to(stage::operator(), &job, None, Vec::new()).await.is_err(), "missing");
    }

    async fn a_table_of_a_further_database_stands_under_its_stores_name(house: House) {
        let elsewhere = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", elsewhere.path().join("crm.db").display());
        let crm = Store::connect(&url, PoolLimits::default()).await.unwrap();
        for statement in [
            r#"CREATE TABLE "Note" ("id" INTEGER PRIMARY KEY, "shop" text, "orderId" text, "text" text)"#.to_owned(),
            format!(r#"INSERT INTO "Note" VALUES (1, '{ADA}', '1001', 'there'), (2, 'bea.myshopify.com', '1001', 'other')"#),
        ] {
            crm.db().execute_unprepared(&statement).await.unwrap();
        }
        let tables = r#"
[stores.crm]

[[table]]
store = "crm"
name = "Note"
shop = { column = "shop", holds = "shop_domain" }
match = { column = "orderId", by = "order_id" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedCrmNotes"
export = ["id", "text"]
"#;
        let app = odder_house(&house, tables, &[("stores.crm.url", &url)]).await;
        house
            .execute(&format!(r#"INSERT INTO "Note" ("id","shopId","orderId","text") VALUES (1,'id of {ADA}','1001','here')"#))
            .await;
        let job = requested(&house, &app, &["1001"]).await;
        let files = files(&written(&app, &job, None).await);
        assert_eq!(text(&files, "Note.json"), "[\n{\"id\":1,\"text\":\"here\"}\n]\n");
        assert_eq!(text(&files, "crm.Note.json"), "[\n{\"id\":1,\"text\":\"there\"}\n]\n");
        crm.close().await;
    }

    async fn other_programs_read_the_package(house: House) {
        let app = odd_house(&house).await;
        fill_odd(&house).await;
        let job = requested(&house, &app, &["1001"]).await;
        let zip = written(&app, &job, None).await;
        let Ok(mut python) =
            Command::new("python3").args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            println!("python3 is not here: the package was not read by another program");
            return;
        };
        python.stdin.take().unwrap().write_all(&zip).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success());
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["rows"], TEXTS.len() + 1);
        for given in TEXTS {
            assert!(read["texts"].as_array().unwrap().contains(&json!(given)), "{given}");
        }
    }
}
