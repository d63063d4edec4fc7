//! One row per duty: a person's or a shop's data to be erased or exported, from receipt to proof.
//!
//! The states, and every allowed move between them, are declared here and nowhere else; `docs/job-life.md` is printed
//! from [`TRANSITIONS`].

use sea_orm::entity::prelude::*;

use crate::source::Source;
use crate::text_enum::text_enum;

text_enum! {
    /// What the duty asks for.
    pub enum JobType {
        /// `customers/data_request`: collect what is held of one person and give it to the merchant.
        DataRequest = "data_request",
        /// `customers/redact`: erase one person's data in one shop.
        CustomerRedact = "customer_redact",
        /// `shop/redact`: erase all of a shop's data.
        ShopRedact = "shop_redact",
    }
}

text_enum! {
    /// Where a job stands. Moves: [`TRANSITIONS`].
    pub enum JobStatus {
        /// Recorded; may be worked now.
        Queued = "queued",
        /// One worker holds a fenced lease on it.
        Processing = "processing",
        /// An attempt failed; it waits for `scheduledAt`.
        Retrying = "retrying",
        /// Something forbids it for now; `holdReason` says what. The deadline keeps running.
        Held = "held",
        /// Done, verified, receipt signed. Final.
        Completed = "completed",
        /// Attempts used up, or a cause that waiting cannot cure. A person must act.
        Failed = "failed",
        /// Withdrawn by an operator, with a reason. Final.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// What a finished job came to.
    pub enum Outcome {
        /// Rows were found, deleted or masked, and verified to be gone.
        Erased = "erased",
        /// Verified that no mapped table holds anything of the subject.
        NothingFound = "nothing_found",
        /// Rows were kept on a legal ground, which the result names per table.
        Retained = "retained",
        /// The rows were collected into a package for the merchant.
        Exported = "exported",
        /// Nothing was done: the job was cancelled.
        NotExecuted = "not_executed",
    }
}

/// One allowed move of a job, who makes it, and why it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The status before.
    pub from: JobStatus,
    /// The status after.
    pub to: JobStatus,
    /// Who makes the move.
    pub by: &'static str,
    /// The reason, one sentence.
    pub because: &'static str,
}

/// A status in which a job may be recorded, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The first status.
    pub status: JobStatus,
    /// The reason, one sentence.
    pub because: &'static str,
}

/// How a job may be recorded. Intake writes it, in the same transaction as the webhook and the audit entry.
pub const BEGINNINGS: &[Beginning] = &[
    Beginning { status: JobStatus::Queued, because: "A verified webhook or an operator asks for it." },
    Beginning {
        status: JobStatus::Held,
        because: "The payload does not fit its topic: nothing is erased, nothing is lost.",
    },
];

/// Every allowed move. A move that is not here must not be written; each is one compare-and-set that touches one row.
pub const TRANSITIONS: &[Transition] = &[
    Transition {
        from: JobStatus::Queued,
        to: JobStatus::Processing,
        by: "worker",
        because: "It was claimed: the fence rises by one and a lease begins.",
    },
    Transition {
        from: JobStatus::Queued,
        to: JobStatus::Held,
        by: "operator",
        because: "A legal hold was placed on its subject before the work began.",
    },
    Transition {
        from: JobStatus::Queued,
        to: JobStatus::Cancelled,
        by: "operator",
        because: "It was withdrawn before any work, with a reason.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Completed,
        by: "worker",
        because: "The work is done and verified; receipt, result and status commit together.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Retrying,
        by: "worker",
        because: "The attempt failed for a cause that waiting may cure.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Held,
        by: "worker",
        because: "A legal hold, a reinstalled shop or a plan that awaits approval forbids it for now.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Failed,
        by: "worker",
        because: "The attempts are used up, or waiting cannot cure the cause.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Queued,
        by: "shutdown",
        because: "The worker gives its claim back; this is not counted as an attempt.",
    },
    Transition {
        from: JobStatus::Processing,
        to: JobStatus::Retrying,
        by: "rescue",
        because: "The lease ran out under a worker that is gone; this is counted as an attempt.",
    },
    Transition {
        from: JobStatus::Retrying,
        to: JobStatus::Processing,
        by: "worker",
        because: "Its time has come and it was claimed again.",
    },
    Transition {
        from: JobStatus::Retrying,
        to: JobStatus::Held,
        by: "operator",
        because: "A legal hold was placed on its subject between two attempts.",
    },
    Transition {
        from: JobStatus::Retrying,
        to: JobStatus::Cancelled,
        by: "operator",
        because: "It was withdrawn between two attempts, with a reason.",
    },
    Transition {
        from: JobStatus::Held,
        to: JobStatus::Queued,
        by: "operator",
        because: "What forbade it is gone, and it was released.",
    },
    Transition {
        from: JobStatus::Held,
        to: JobStatus::Cancelled,
        by: "operator",
        because: "It was withdrawn while held, with a reason.",
    },
    Transition {
        from: JobStatus::Failed,
        to: JobStatus::Queued,
        by: "operator",
        because: "A person looked at the cause and asks for another try; this is audited.",
    },
];

impl JobStatus {
    /// Whether [`TRANSITIONS`] allows the move from this status to `to`.
    pub fn may_become(self, to: Self) -> bool {
        TRANSITIONS.iter().any(|move_| move_.from == self && move_.to == to)
    }

    /// Whether no move leads out of this status.
    pub fn is_final(self) -> bool {
        !TRANSITIONS.iter().any(|move_| move_.from == self)
    }

    /// Whether the deadline `dueAt` still matters: everything but the final states, so `failed` too.
    pub fn is_open(self) -> bool {
        !self.is_final()
    }

    /// What this status means, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Queued => "Recorded; may be worked now.",
            Self::Processing => "One worker holds a fenced lease on it.",
            Self::Retrying => "An attempt failed; it waits for `scheduledAt`.",
            Self::Held => "Something forbids it for now; the deadline keeps running and is shown.",
            Self::Completed => "Done, verified, receipt signed. Final.",
            Self::Failed => "Attempts used up, or a cause that waiting cannot cure. A person must act; it alerts.",
            Self::Cancelled => "Withdrawn by an operator, with a reason; the receipt says \"not executed\". Final.",
        }
    }
}

/// A duty and its course. "Never changes" means: from the insert on.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "GDPRJob", rename_all = "camelCase")]
pub struct Model {
    /// `gdpr_` and a UUID v7. Set by intake; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The shop's domain in lower case, from the signed body. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub shop_domain: String,
    /// The provider's number of the shop as text, when the body has one. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub shop_id: Option<String>,
    /// What is asked for. Set by intake; never changes.
    pub job_type: JobType,
    /// Where it stands. Set by intake, moved along [`TRANSITIONS`]; never changes once final.
    pub status: JobStatus,
    /// What it came to. Set with `completed` or `cancelled`; never changes after.
    pub outcome: Option<Outcome>,
    /// The webhook's topic, or the one an operator's request stands for. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub topic: String,
    /// Whose dialect of webhooks it was (`shopify`, …). Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub provider: String,
    /// The door it came through. Set by intake; never changes.
    pub source: Source,
    /// Ids only, never an e-mail or a phone number. Set by intake; never changes.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// The exact body, sealed. Set by intake; made null in the transaction that ends the job, and never set again.
    pub sealed_payload: Option<Vec<u8>>,
    /// Keyed digest of the body, to recognise the same event. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub body_digest: String,
    /// Counts per table, as the data map names them. Set with `completed`; never changes after.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub result: Option<Json>,
    /// Cumulative counts of the batches that have committed, and what held the job so far. Set by the worker with each batch,
    /// so that a crash loses none, and by what holds the job or lets it go.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub progress: Option<Json>,
    /// The last attempt's error, without personal data. Set with `retrying` and `failed`; made null when a later attempt succeeds.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// Why it is held (`legal_hold`, `shop_reinstalled`, `payload_mismatch`, …). Set with `held`; made null on release.
    #[sea_orm(column_type = "Text", nullable)]
    pub hold_reason: Option<String>,
    /// The hash of the plan that waits for an approval. Set with `held`; stays as the one that was asked about.
    #[sea_orm(column_type = "Text", nullable)]
    pub plan_hash: Option<String>,
    /// The hash of the plan that an operator approved. Set by a release.
    #[sea_orm(column_type = "Text", nullable)]
    pub approved_plan: Option<String>,
    /// Attempts counted so far. Raised with `retrying`, `failed` and by the rescue; made 0 when an operator queues it again.
    pub attempts: i32,
    /// Raised by one with each claim: the number that makes a stale worker harmless. Never falls.
    pub fence: i64,
    /// End of the lease. Set by the claim, moved on by each renewal; null unless `processing`.
    pub lease_until: Option<DateTimeUtc>,
    /// Which worker holds the lease, for people only. Set by the claim; null unless `processing`.
    #[sea_orm(column_type = "Text", nullable)]
    pub lease_owner: Option<String>,
    /// The sender's id of the delivery that made the job, or the body's digest when it had none. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub webhook_id: String,
    /// The sender's id of the event, when it gave one. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub event_id: Option<String>,
    /// When the sender says that it happened (unsigned). Set by intake; never changes.
    pub triggered_at: Option<DateTimeUtc>,
    /// When we received it; the duty's time runs from here. Set by the door that received it; never changes.
    pub created_at: DateTimeUtc,
    /// When the law wants it done: 30 days after `createdAt`. Set by intake; never changes.
    pub due_at: DateTimeUtc,
    /// Not to be worked before. Set by intake, and by each failed attempt to the next try.
    pub scheduled_at: DateTimeUtc,
    /// When the latest attempt began. Set by the claim.
    pub processed_at: Option<DateTimeUtc>,
    /// When the rows were last looked for and none was found. Set with `completed`, by erasures only; never changes after.
    pub verified_at: Option<DateTimeUtc>,
    /// When it ended. Set with `completed` or `cancelled`; never changes after. Retention counts from here.
    pub completed_at: Option<DateTimeUtc>,
    /// When the row last changed. Set by every statement that writes the row.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

#[cfg(test)]
mod tests;
