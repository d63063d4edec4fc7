//! Shows the demo: at most 80 columns, colour only where it is welcome, nothing at all when JSON is asked for.

use std::io::{self, IsTerminal as _};

use super::super::output;
use super::census::{Census, TABLES};
use super::checks::Checks;
use super::house::House;
use super::shops;
use crate::telemetry::colour_is_welcome;

/// Where the demo is shown.
#[derive(Debug)]
pub struct Stage {
    silent: bool,
    colour: bool,
}

impl Stage {
    pub fn new(silent: bool) -> Self {
        Self { silent, colour: io::stdout().is_terminal() && colour_is_welcome() }
    }

    /// # Errors
    /// When stdout is gone; so for all that follow.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if self.silent { Ok(()) } else { output::raw(&format!("{text}\n")) }
    }

    pub fn scene(&self, number: u8, title: &str) -> io::Result<()> {
        self.line(&format!("\n{}", self.painted("1", &format!("{number}  {title}"))))
    }

    /// A line of a scene: what it is about, and what is said of it.
    pub fn fact(&self, about: &str, said: &str) -> io::Result<()> {
        self.line(&format!("   {about:<24}{said}"))
    }

    /// Text of another command, as it prints it.
    pub fn text(&self, text: &str) -> io::Result<()> {
        if self.silent { Ok(()) } else { output::raw(text) }
    }

    /// Rows per table and shop, before and after.
    pub fn rows(&self, before: &Census, after: &Census) -> io::Result<()> {
        let row = |table: &str, cells: [String; 3]| {
            self.line(format!("   {table:<24}{:<14}{:<14}{}", cells[0], cells[1], cells[2]).trim_end())
        };
        row("", shops::ALL.map(|shop| shop.name.to_owned()))?;
        for (place, table) in TABLES.into_iter().enumerate() {
            let cells = shops::ALL.map(|shop| {
                let (then, now) = (before.counts(shop)[place], after.counts(shop)[place]);
                if then == now { then.to_string() } else { format!("{then} → {now}") }
            });
            row(table, cells)?;
        }
        Ok(())
    }

    /// The last word: what was proven, or which steps did not hold.
    pub fn verdict(&self, checks: &Checks) -> io::Result<()> {
        self.line("")?;
        let mut held = true;
        for check in checks.failed() {
            held = false;
            let said = format!("{}: expected {}, found {}", check.step, check.expected, check.found);
            self.line(&format!("{}  {said}", self.painted("1;31", "FAIL")))?;
            if self.silent {
                output::talk(&format!("efface: demo: {said}"));
            }
        }
        if held {
            let said = format!("Proven by {} checks: what was asked for is gone, nothing else changed.", checks.len());
            self.line(&self.painted("1;32", &said))
        } else {
            self.line(&format!("{} of {} checks did not hold.", checks.failed().count(), checks.len()))
        }
    }

    /// How to look around while the server is up.
    pub fn look_around(&self, house: &House) -> io::Result<()> {
        let (address, token) = (house.address, house.token.expose());
        self.line("\nLook around (the token is good for this demo only):\n")?;
        self.line(&format!("   curl -H 'Authorization: Bearer {token}' \\"))?;
        self.line(&format!("       http://{address}/api/v1/jobs"))?;
        self.line(&format!("   curl http://{address}/metrics"))?;
        let program = std::env::args().next().unwrap_or_else(|| "efface".to_owned());
        self.line(&format!("   {program} report --database-url sqlite://{}\n", house.database.display()))
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
