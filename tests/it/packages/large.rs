//! Memory does not grow with what is held.

use std::process::{Command, Stdio};

use efface::export::collect::{PART_BYTES, PART_ROWS};
use serde_json::Value;

use super::stage::{odd_house, package, parts, requested};
use crate::house::{ADA, House};

const ROWS: u64 = 100_000;

/// Writes the package with the built program, and tells the most memory that it held, in KiB.
fn peak_of_writing(house: &House, job: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.zip");
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(["jobs", "package", job, "--output", path.to_str().unwrap()]);
    let mut child = command.env_clear().envs(house.environment()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = most.unwrap_or(peak).max(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            break;
        }
        std::thread::yield_now();
    }
    let file = std::fs::File::open(&path).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let manifest: Value = serde_json::from_reader(archive.by_name("manifest.json").unwrap()).unwrap();
    println!("{} rows: {} KiB at most, zip of {} KiB", manifest["rows"], peak, path.metadata().unwrap().len() / 1024);
    peak
}

both_databases! {
    async fn a_hundred_thousand_rows_are_collected_and_written_in_bounded_parts(house: House) {
        let app = odd_house(&house).await;
        house
            .execute(&format!(
                r#"INSERT INTO "Note" ("id","shopId","orderId","text")
                   WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{ROWS})
                   SELECT i, 'id of {ADA}', CASE WHEN i <= 10 THEN '1' ELSE '2' END, 'note number ' || i FROM n"#
            ))
            .await;
        let small = requested(&house, &app, &["1"]).await;
        let large = requested(&house, &app, &["1", "2"]).await;
        let package = package(&house, &large).await;
        assert_eq!(package.rows_total.unsigned_abs(), ROWS);
        let mut found = 0;
        for part in parts(&house).await.into_iter().filter(|part| part.package_id == package.id) {
            assert!(part.rows <= PART_ROWS && part.sealed.len() < PART_BYTES + 1024, "{} rows, {} bytes", part.rows, part.sealed.len());
            assert_eq!(part.sequence, found);
            found += 1;
        }
        assert_eq!(found, 100);
        let (few, many) = (peak_of_writing(&house, &small), peak_of_writing(&house, &large));
        println!("ten thousand times the rows take {} KiB more", many.saturating_sub(few));
    }
}
