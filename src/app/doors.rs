//! Puts together what the HTTP door needs of the other rooms.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::App;
use crate::acceptance::Acceptance;
use crate::broker::{Broker, BrokerState};
use crate::config::{Config, Role};
use crate::http::{self, ApiState, Doors, Finding, Metrics, Readiness, ServerSettings, Tokens, WebhookDoor};
use crate::store::Store;

/// The doors of a house, over its broker if it has one.
pub fn doors(app: &App, broker: Option<Broker>) -> Doors {
    let breaker = app.config.broker.breaker;
    let acceptance = Acceptance::new(broker.clone(), app.keys.clone(), app.intake.clone(), app.clock.clone(), breaker);
    Doors {
        webhooks: WebhookDoor {
            secrets: app.secrets.clone(),
            accept: Arc::new(move |delivery| {
                let acceptance = acceptance.clone();
                Box::pin(async move { acceptance.accept(delivery).await })
            }),
        },
        readiness: readiness(app.store.clone(), app.config.database.reference_schema, broker),
        metrics: Metrics::install(),
        tokens: tokens(&app.config),
        api: ApiState::new(
            app.store.clone(),
            app.clock.clone(),
            app.wake.clone(),
            app.signer.clone(),
            app.holds.clone(),
        )
        .with_planner(app.planner())
        .with_log(app.log())
        .with_packages(app.packages.clone())
        .with_retention(app.retention(), app.shutdown.clone())
        .with_bundles(app.bundles()),
    }
}

/// The limits of the HTTP server.
pub fn server_settings(config: &Config) -> ServerSettings {
    ServerSettings {
        connections_max: u32::try_from(config.http.connections_max).unwrap_or(u32::MAX),
        header_read_timeout: config.http.header_timeout,
        body_deadline: config.http.body_timeout,
        body_bytes_max: config.http.body_bytes_max as u64,
        ..ServerSettings::default()
    }
}

fn tokens(config: &Config) -> Tokens {
    Tokens::new(config.auth.tokens.iter().map(|token| {
        let role = match token.role {
            Role::Admin => http::Role::Admin,
            Role::Operator => http::Role::Operator,
            Role::Viewer => http::Role::Viewer,
            Role::Auditor => http::Role::Auditor,
        };
        (token.name.clone(), role, Zeroizing::new(token.token.expose().to_owned()))
    }))
}

fn readiness(store: Store, reference: bool, broker: Option<Broker>) -> Readiness {
    let pinged = store.clone();
    let readiness = Readiness::new()
        .with("database", move || {
            let store = pinged.clone();
            async move {
                match store.ping().await {
                    Ok(()) => Finding::good("answers"),
                    Err(_) => Finding::bad("gives no answer"),
                }
            }
        })
        .with("migrations", move || {
            let store = store.clone();
            async move {
                match migration::status(store.db(), reference).await {
                    Ok(steps) if steps.iter().all(|step| step.applied) => Finding::good("applied"),
                    Ok(_) => Finding::bad("pending"),
                    Err(_) => Finding::bad("cannot be read"),
                }
            }
        });
    match broker {
        None => readiness,
        Some(broker) => readiness.with("broker", move || {
            let state = *broker.state().borrow();
            async move { of_broker(state) }
        }),
    }
}

fn of_broker(state: BrokerState) -> Finding {
    let detail = format!("publishing: {:?}, consuming: {:?}", state.publishing, state.consuming).to_lowercase();
    if state.is_ready() { Finding::good(detail) } else { Finding::bad(detail) }
}
