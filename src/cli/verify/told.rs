//! A verdict in words.

use std::fmt::{Display, Write as _};
use std::path::Path;

use crate::clock::rfc3339;
use crate::evidence::bundle::verify as bundle;
use crate::evidence::statement::{Erasure, Export, Receipt, StatedBy, Subject, SubjectKind};
use crate::evidence::verify::{Checked, Part, Refused};

/// Lines of a report. Texts of the receipt are shown without control characters: they come from a file.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl Display) {
        let line = line.to_string();
        self.0.extend(line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }));
        self.0.push('\n');
    }
}

/// What a bundle that verifies says.
pub(in crate::cli) fn bundle_passed(checked: &bundle::Checked) -> String {
    let mut lines = Lines::default();
    lines.add("✓ Verification PASSED");
    lines.add(format_args!("  - Events: {} valid", checked.manifest.events));
    lines.add("  - Hash chain: OK");
    lines.add("  - Ledger consistency: OK");
    lines.add("  - Manifest: OK");
    if !checked.is_trusted {
        lines.add("  - Keys: enclosed, not trusted");
    }
    lines.0
}

/// Which part of a bundle does not hold, and why.
pub(in crate::cli) fn bundle_failed(refused: &bundle::Refused) -> String {
    let mut lines = Lines::default();
    lines.add("✗ Verification FAILED");
    lines.add(format_args!("  - {}: {}", refused.part, refused.reason));
    lines.0
}

/// What a receipt that verifies says.
pub(super) fn passed(checked: &Checked, key: Option<&Path>) -> String {
    let receipt = &checked.statement.predicate;
    let mut lines = Lines::default();
    let whose = match (checked.is_trusted, key) {
        (true, Some(file)) => format!("key {} of {}", checked.key.id(), file.display()),
        _ => format!("key {}, ENCLOSED AND NOT TRUSTED", checked.key.id()),
    };
    lines.add(if checked.is_trusted {
        "✓ Verification PASSED"
    } else {
        "✓ Verification PASSED, with no key from outside"
    });
    lines.add(format_args!("  - Signature: OK, {whose}"));
    lines.add("  - Statement: OK");
    lines.add("  - Receipt: OK");
    lines.add("");
    lines.add(format_args!("The signer says of job {}:", receipt.request.job_id));
    request(&mut lines, receipt);
    if let Some(erasure) = &receipt.erasure {
        self::erasure(&mut lines, erasure);
    }
    if let Some(export) = &receipt.export {
        self::export(&mut lines, export);
    }
    if receipt.erasure.is_none() && receipt.export.is_none() {
        lines.add("  Nothing was done: the job was cancelled.");
    }
    for hold in &receipt.holds {
        lines.add(format_args!("  held: {}", hold.reason));
    }
    lines.add(format_args!("  by {} {}", receipt.software.name, receipt.software.version));
    lines.0
}

/// Which part of a receipt does not hold, and why.
pub(super) fn failed(refused: &Refused) -> String {
    let mut lines = Lines::default();
    lines.add("✗ Verification FAILED");
    for part in [Part::Size, Part::Envelope, Part::Signature, Part::Statement, Part::Receipt] {
        if part == refused.part {
            lines.add(format_args!("  - {part}: {}", refused.reason));
            break;
        }
        if part != Part::Size {
            lines.add(format_args!("  - {part}: OK"));
        }
    }
    lines.0
}

fn request(lines: &mut Lines, receipt: &Receipt) {
    let request = &receipt.request;
    lines.add(format_args!("  request   {} of shop {}", request.topic, request.shop_domain));
    lines.add(format_args!("  webhook   {}", request.webhook_id));
    lines.add(format_args!("  about     {}", about(&receipt.subject)));
    lines.add(format_args!("  received  {}, due {}", rfc3339(request.received_at), rfc3339(request.due_at)));
    lines.add(format_args!("  ended     {}, attempts {}", rfc3339(receipt.ended_at), receipt.attempts));
    lines.add(format_args!("  outcome   {}", receipt.outcome));
    let policy = &receipt.policy;
    for (name, digest) in
        [("data map", &policy.data_map), ("plan    ", &policy.plan), ("approved", &policy.approved_plan)]
    {
        if let Some(digest) = digest {
            lines.add(format_args!("  {name}  {digest}"));
        }
    }
}

fn about(subject: &Subject) -> String {
    if subject.kind == SubjectKind::Shop {
        return "the whole shop".to_owned();
    }
    let mut about = match &subject.customer {
        Some(customer) => format!("customer {customer} (pseudonym)"),
        None => "a customer without an id".to_owned(),
    };
    if let Some(orders) = &subject.orders {
        let _ = write!(about, ", {} orders", orders.count);
    }
    about
}

fn erasure(lines: &mut Lines, erasure: &Erasure) {
    for table in &erasure.tables {
        let mut line = format!(
            "  {}.{}: {} matched, {} deleted, {} masked, {} kept, {} already absent, {} left",
            table.store,
            table.table,
            table.matched,
            table.deleted,
            table.masked,
            table.kept,
            table.already_absent,
            table.residual,
        );
        if let Some(ground) = table.ground.as_ref().filter(|_| table.kept > 0) {
            let _ = write!(line, " (kept: {ground})");
        }
        lines.add(line);
    }
    for store in &erasure.uncounted_stores {
        lines.add(format_args!("  {store}: an earlier attempt may have erased more; its counts were lost"));
    }
    let at = rfc3339(erasure.verification.verified_at);
    lines.add(format_args!("  verified  {at}, in a fresh snapshot after the commit"));
    lines.add("  not reached by a delete, and not measured:");
    for copies in &erasure.residual_horizon {
        let place = copies.place.words();
        let whose = match copies.stated_by {
            StatedBy::Operator => "the operator says",
            StatedBy::Default => "a default that nobody has confirmed",
        };
        if copies.days == 0 {
            lines.add(format_args!("    {place}: none ({whose})"));
        } else {
            lines.add(format_args!("    {place}: until {} ({whose})", rfc3339(copies.until)));
        }
    }
}

fn export(lines: &mut Lines, export: &Export) {
    for table in &export.tables {
        lines.add(format_args!("  {}.{}: {} collected", table.store, table.table, table.collected));
    }
    if let Some(manifest) = &export.manifest {
        lines.add(format_args!("  manifest  {manifest}"));
    }
}
