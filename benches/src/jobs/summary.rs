//! Medians, ratios and goals of the jobs bench.
use serde_json::{Value, json};

use super::turn::Turn;
use super::{Arguments, Contestant};
use crate::machine;
use crate::report::{self, Report, Wanted, goal, median};

pub fn report(arguments: &Arguments, turns: &[Turn], settings: &Value) -> Report {
    let of = |contestant, value: fn(&Turn) -> f64| {
        median(turns.iter().filter(|turn| turn.contestant == contestant).map(value))
    };
    let efface = of(Contestant::Efface, |turn| turn.jobs_per_second);
    let header = ["jobs", "per s", "Efface ×", "own CPU ms", "PostgreSQL CPU ms", "WAL KiB", "peak MiB"];
    let mut table = report::table(header);
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for &contestant in &arguments.only {
        let per_second = of(contestant, |turn| turn.jobs_per_second);
        let row = json!({
            "contestant": contestant,
            "perSecond": per_second,
            "effaceIsTimes": (efface > 0.0).then(|| efface / per_second),
            "cpuMsPerJob": of(contestant, |turn| turn.cpu_ms_per_job),
            "databaseCpuMsPerJob": of(contestant, |turn| turn.database_cpu_ms_per_job.unwrap_or_default()),
            "databaseWalKibPerJob": of(contestant, |turn| turn.database_wal_kib_per_job),
            "residentPeakMib": of(contestant, |turn| turn.resident_peak_mib),
        });
        let figure = |(key, digits): (&str, usize)| {
            row[key].as_f64().map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let mut cells = vec![format!("{contestant:?}").to_lowercase()];
        cells.extend([("perSecond", 0), ("effaceIsTimes", 2), ("cpuMsPerJob", 3)].map(figure));
        cells.extend([("databaseCpuMsPerJob", 3), ("databaseWalKibPerJob", 1), ("residentPeakMib", 0)].map(figure));
        table.add_row(cells);
        rows.push(row);
    }
    let unlogged = of(Contestant::Unlogged, |turn| turn.jobs_per_second);
    if efface > 0.0 && unlogged > 0.0 {
        notes.push(goal("of itself without the audit log", efface / unlogged, &Wanted::AtLeast(0.85)));
    }
    if efface > 0.0 {
        for (contestant, times) in [(Contestant::Graphile, 4.0), (Contestant::Sql, 1.0)] {
            if arguments.only.contains(&contestant) {
                let ratio = efface / of(contestant, |turn| turn.jobs_per_second);
                notes.push(goal(&format!("times {contestant:?}").to_lowercase(), ratio, &Wanted::AtLeast(times)));
            }
        }
        let cpu = of(Contestant::Efface, |turn| turn.cpu_ms_per_job);
        notes.push(goal("own CPU ms per job", cpu, &Wanted::Below(0.25)));
    }
    if settings["fsync"] == "off" {
        notes.push("caution: fsync is off, so commits cost nothing here".to_owned());
    }
    notes.extend(machine::cautions());
    let json = json!({
        "bench": "jobs",
        "machine": machine::describe(),
        "postgres": settings,
        "jobs": arguments.jobs,
        "rows": arguments.rows,
        "shops": arguments.shops,
        "spread": arguments.spread,
        "finished": arguments.finished,
        "medians": rows,
        "turns": turns,
    });
    Report { tables: vec![table], notes, json }
}
