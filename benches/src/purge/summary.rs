//! What the turns come to: the table, the goals, the JSON.
use serde_json::json;

use super::{Arguments, Contestant, Turn};
use crate::machine;
use crate::report::{self, Report, Wanted, goal, median};

pub fn report(arguments: &Arguments, turns: &[Turn], settings: &serde_json::Value) -> Report {
    let of = |contestant: Contestant| turns.iter().filter(move |turn| turn.contestant == contestant);
    let alone = |contestant: Contestant| of(contestant).filter(|turn| turn.writer.is_none());
    let rates = |contestant: Contestant| alone(contestant).map(|turn| turn.rows as f64 / turn.seconds);
    let rate = |contestant: Contestant| median(rates(contestant));
    let longest = |contestant: Contestant| of(contestant).map(|turn| turn.longest_ms).fold(0.0, f64::max);
    let felt = |contestant: Contestant| of(contestant).filter_map(|turn| Some((turn, turn.writer.as_ref()?)));
    let p99 = |contestant: Contestant| median(felt(contestant).map(|(_, felt)| felt.beside.p99));
    let idle = median(turns.iter().filter_map(|turn| Some(turn.writer.as_ref()?.idle.p99)));
    let times = |of: f64, what: f64| if what > 0.0 { of / what } else { 0.0 };
    let mut table = report::table([
        "",
        "rows/s alone",
        "from .. to",
        "× delete",
        "longest ms",
        "beside: rows/s",
        "writer p99 ms",
        "× idle",
        "writer max ms",
    ]);
    for &contestant in &arguments.only {
        let (least, most) = (rates(contestant).fold(f64::INFINITY, f64::min), rates(contestant).fold(0.0, f64::max));
        let mut row = vec![
            format!("{contestant:?}").to_lowercase(),
            format!("{:.0}", rate(contestant)),
            format!("{least:.0} .. {most:.0}"),
            format!("{:.2}", times(rate(contestant), rate(Contestant::Delete))),
            format!("{:.0}", longest(contestant)),
        ];
        if felt(contestant).next().is_some() {
            let beside = median(felt(contestant).map(|(turn, _)| turn.rows as f64 / turn.seconds));
            row.extend([
                format!("{beside:.0}"),
                format!("{:.2}", p99(contestant)),
                format!("{:.2}", times(p99(contestant), idle)),
                format!("{:.1}", felt(contestant).map(|(_, felt)| felt.beside.max).fold(0.0, f64::max)),
            ]);
        } else {
            row.extend(std::iter::repeat_n("-".to_owned(), 4));
        }
        table.add_row(row);
    }
    let mut notes = Vec::new();
    if arguments.only.contains(&Contestant::Efface) {
        let ours = rate(Contestant::Efface);
        for (rival, what, wanted) in [
            (Contestant::Delete, "of one DELETE", 0.85),
            (Contestant::Ctid10000, "times batches of 10,000 addresses", 4.0),
            (Contestant::Keyset10000, "times batches of 10,000 by key", 2.0),
        ] {
            if arguments.only.contains(&rival) {
                notes.push(goal(what, times(ours, rate(rival)), &Wanted::AtLeast(wanted)));
            }
        }
        notes.push(goal("ms, the longest transaction", longest(Contestant::Efface), &Wanted::Below(250.0)));
        if felt(Contestant::Efface).next().is_some() {
            notes.push(goal("times the writer's idle p99", times(p99(Contestant::Efface), idle), &Wanted::Below(2.0)));
        }
        notes.extend(of(Contestant::Efface).filter_map(|turn| turn.because.clone()).take(1));
    }
    let vacuum = median(felt(Contestant::Efface).filter_map(|(_, felt)| Some(felt.vacuum?.p99)));
    notes.push(format!("the writer's p99 beside Efface's VACUUM afterwards: {vacuum:.2} ms"));
    notes.push(format!("the writer's p99 alone: {idle:.2} ms"));
    notes.extend(machine::cautions());
    Report {
        tables: vec![table],
        notes,
        json: json!({
            "bench": "purge", "machine": machine::describe(), "postgres": settings, "rows": arguments.rows,
            "shops": arguments.shops, "pauseShare": arguments.pause_share, "transactionMaxMs": arguments.transaction_max_ms,
            "writes": arguments.writes, "turns": turns,
        }),
    }
}
