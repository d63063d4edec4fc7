//! What an operator may ask of a job.

use std::process::Command as Process;

use efface::job::command::{Command, CommandError};
use entity::gdpr_job::{ActiveModel, JobStatus, Outcome, TRANSITIONS};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};

use crate::house::{ADA, House, Webhook};
use crate::http::house::{Answer, House as Server, Request, owned};

const STATUSES: [JobStatus; 7] = [
    JobStatus::Queued,
    JobStatus::Processing,
    JobStatus::Retrying,
    JobStatus::Held,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
];

/// A job that stands where the test wants it.
async fn job_in(house: &House, status: JobStatus) -> String {
    let id = house.post(&Webhook::shop_redact(ADA)).await;
    let (attempts, fence) = if status == JobStatus::Queued { (0, 0) } else { (2, 2) };
    let held = (status == JobStatus::Held).then(|| "payload_mismatch".to_owned());
    let row = ActiveModel {
        id: Set(id.clone()),
        status: Set(status),
        attempts: Set(attempts),
        fence: Set(fence),
        hold_reason: Set(held),
        ..Default::default()
    };
    row.update(house.store().db()).await.unwrap();
    id
}

async fn ask(server: &Server, path: &str, body: &str) -> Answer {
    let headers = owned(&[("Authorization", "Bearer operator-token"), ("Content-Type", "application/json")]);
    server.ask(&Request { method: "POST", path, headers, body: body.as_bytes() }).await
}

both_databases! {
    async fn every_command_is_allowed_where_the_life_of_a_job_has_that_move_and_nowhere_else(house: House) {
        house.leaves_jobs();
        let commands = [
            (Command::Retry, JobStatus::Queued, [JobStatus::Failed].as_slice()),
            (Command::Release { plan: None }, JobStatus::Queued, &[JobStatus::Held]),
            (
                house.cancel("a test shop"),
                JobStatus::Cancelled,
                &[JobStatus::Queued, JobStatus::Retrying, JobStatus::Held],
            ),
        ];
        for (command, to, from) in commands {
            for status in STATUSES {
                let id = job_in(&house, status).await;
                let before = house.job(&id).await;
                let audited = format!(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceId"='{id}' AND "actorType"='operator'"#);
                match house.command(&id, command.clone()).await {
                    Ok(job) => {
                        assert!(from.contains(&status), "{command:?} of a job that is {status}");
                        assert!(TRANSITIONS.iter().any(|t| (t.from, t.to, t.by) == (status, to, "operator")));
                        assert_eq!(job.status, to);
                        assert_eq!(job.fence, before.fence, "a command takes no claim");
                        assert_eq!(house.number(&audited).await, 1);
                    }
                    Err(CommandError::Refused(_) | CommandError::Changed) => {
                        assert!(!from.contains(&status), "{command:?} of a job that is {status} was refused");
                        assert_eq!(house.job(&id).await, before, "a refusal changes nothing");
                        assert_eq!(house.number(&audited).await, 0);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    async fn a_job_is_withdrawn_over_http_with_a_reason_that_names_nobody_or_none(house: House) {
        house.leaves_jobs();
        let server = crate::audit_log::api::server(&house).await;
        let personal = r#"{"reason":"john.private@pii.example asked"}"#;
        let with_nul = r#"{"reason":"a\u0000b"}"#;
        let (waiting, other) = (job_in(&house, JobStatus::Queued).await, job_in(&house, JobStatus::Queued).await);
        let ended = house.post(&Webhook::shop_redact("other.myshopify.com")).await;
        house.command(&ended, house.cancel("mistake")).await.unwrap();
        let before = house.audit_rows().await.len();
        for (id, body, code, detail) in [
            (&*waiting, personal, 400, "the reason holds an e-mail address or a phone number: name the case, not the person"),
            (&waiting, with_nul, 400, "the reason holds a control character"),
            (&waiting, r#"{"reason":" "}"#, 400, "the reason is empty"),
            (&waiting, r#"{"because":"x"}"#, 400, "send nothing, or {\"reason\": \"…\"}"),
            // What is wrong with the body comes before what is wrong with the job.
            ("gdpr_0", personal, 400, "the reason holds an e-mail address or a phone number: name the case, not the person"),
            (&ended, "{}", 409, "a job that is cancelled does not take `cancel`"),
        ] {
            let answer = ask(&server, &format!("/api/v1/jobs/{id}/cancel"), body).await;
            assert_eq!(answer.problem(code).as_deref(), Some(detail), "{id} {body}");
        }
        assert_eq!(ask(&server, "/api/v1/jobs/gdpr_0/cancel", "").await.problem(404), None);
        assert_eq!(house.job(&waiting).await.status, JobStatus::Queued);
        let told = format!("{:?}", house.audit_rows().await.split_off(before));
        assert!(!told.contains("private"), "{told}");
        for (id, body) in [(&waiting, ""), (&other, "{}")] {
            assert_eq!(ask(&server, &format!("/api/v1/jobs/{id}/cancel"), body).await.code(), 200);
            let job = house.job(id).await;
            assert_eq!((job.status, job.error_message.as_deref()), (JobStatus::Cancelled, Some("no reason given")));
        }
    }

    async fn a_reason_that_names_somebody_is_refused_on_the_command_line(house: House) {
        house.leaves_jobs();
        let id = job_in(&house, JobStatus::Queued).await;
        let mut command = Process::new(env!("CARGO_BIN_EXE_efface"));
        command.args(["jobs", "cancel", &id, "--reason", "john.private@pii.example asked", "--yes"]).env_clear();
        let output = command.envs(house.environment()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("name the case, not the person") && !told.contains("private"), "{told}");
        assert_eq!(house.job(&id).await.status, JobStatus::Queued);
    }

    async fn a_command_to_no_job_says_so(house: House) {
        let error = house.command("gdpr_0", Command::Retry).await.unwrap_err();
        assert!(matches!(error, CommandError::NotFound(_)));
    }

    async fn a_retried_job_begins_with_all_its_attempts(house: House) {
        house.leaves_jobs();
        let id = job_in(&house, JobStatus::Failed).await;
        let job = house.command(&id, Command::Retry).await.unwrap();
        assert_eq!((job.attempts, job.fence), (0, 2));
        assert!(job.scheduled_at <= house.clock.now());
    }

    async fn a_cancelled_job_is_never_worked_and_says_why(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let job = house.command(&id, house.cancel("sent by mistake")).await.unwrap();
        assert_eq!((job.status, job.outcome), (JobStatus::Cancelled, Some(Outcome::NotExecuted)));
        assert!(job.completed_at.is_some());
        assert_eq!(job.error_message.as_deref(), Some("sent by mistake"));
        house.let_retries_come_due();
        assert_eq!(house.tick().await, 0);
        assert_eq!(house.contents().await, before);
    }

    async fn two_operators_who_ask_at_once_make_one_move(house: House) {
        house.leaves_jobs();
        let id = job_in(&house, JobStatus::Held).await;
        let asked = (0..8).map(|_| house.command(&id, Command::Release { plan: None }));
        let answers = futures_util::future::join_all(asked).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(answer, CommandError::Refused(_) | CommandError::Changed), "{answer}");
        }
        let audited = house.number(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "actorType"='operator'"#).await;
        assert_eq!(audited, 1);
    }
}
