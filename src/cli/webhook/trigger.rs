//! `efface webhook trigger`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use futures_util::{StreamExt as _, stream};
use hyper::Uri;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::client::{Answer, Client, parse_address, with_path};
use super::super::{Context, Exit, UsageError, output};
use super::body::About;
use super::signed::{self, Delivery};
use super::tally::Tally;
use crate::clock::Clock;
use crate::config::Secret;
use crate::webhook::{SHOPIFY, Topic};

const EXAMPLES: &str = "\
Examples:
  efface webhook trigger --topic customers/redact --secret hush \\
      --address http://127.0.0.1:8080 --order 299938 --order 280263
  efface webhook trigger --topic shop/redact --secret hush \\
      --address http://127.0.0.1:8080 --webhook-id 1 --count 3
      (the same delivery three times: one job, two duplicates)
  efface webhook trigger --topic shop/redact --secret wrong \\
      --address http://127.0.0.1:8080
      (a forged one: 401, exit code 1)";

/// Sign webhooks with the app's secret and send them to an endpoint
///
/// Prints the answers by status, with latencies. Exit code 1 unless every answer was 2xx. Sends real requests: an
/// endpoint that honours them erases data.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What the webhooks ask for
    #[arg(long, value_parser = topics())]
    topic: Topic,
    /// Where to send them; /webhooks is added when there is no path
    #[arg(long, value_name = "URL", value_parser = parse_address)]
    address: Uri,
    /// The app's client secret
    #[arg(long, env = "SHOPIFY_API_SECRET", hide_env_values = true)]
    secret: Secret,
    /// The shop's domain
    #[arg(long, value_name = "DOMAIN", default_value = "snowdevil.myshopify.com")]
    shop: String,
    /// The shop's number
    #[arg(long, value_name = "N", default_value_t = 954_889)]
    shop_id: u64,
    /// The customer's number
    #[arg(long, value_name = "N")]
    customer_id: Option<String>,
    /// The customer's e-mail address
    #[arg(long)]
    email: Option<String>,
    /// The customer's phone number
    #[arg(long)]
    phone: Option<String>,
    /// An order of the customer; repeat for more
    #[arg(long = "order", value_name = "N")]
    orders: Vec<String>,
    /// The delivery's id; a fresh one for each when left out
    #[arg(long, value_name = "ID")]
    webhook_id: Option<String>,
    /// How many to send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// How many to have under way at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    parallel: u16,
    /// Seconds to wait for each answer; Shopify waits 5
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout_seconds: u64,
}

fn topics() -> impl clap::builder::TypedValueParser<Value = Topic> {
    PossibleValuesParser::new(Topic::ALL.map(Topic::as_str))
        .try_map(|name| Topic::parse(&SHOPIFY, &name).ok_or("no such topic"))
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    context.log_without_config();
    let names_somebody = args.customer_id.is_some() || args.email.is_some() || args.phone.is_some();
    if !args.topic.names_a_person() && (names_somebody || !args.orders.is_empty()) {
        let topic = args.topic.as_str();
        return Err(UsageError(format!("{topic} is about a whole shop: it takes no customer and no order")).into());
    }
    let about = About {
        topic: args.topic,
        shop: &args.shop,
        shop_id: args.shop_id,
        customer_id: args.customer_id.as_deref(),
        email: args.email.as_deref(),
        phone: args.phone.as_deref(),
        orders: &args.orders,
    };
    let body = Bytes::from(about.to_json()?);
    let signature = signed::signature(&args.secret, &body)?;
    let address = with_path(&args.address, "/webhooks")?;
    let client = Client::new(Duration::from_secs(args.timeout_seconds));

    let mut answers = stream::iter(0..args.count)
        .map(|_| send_one(args, &client, &address, &signature, body.clone()))
        .buffer_unordered(args.parallel.into());
    let mut tally = Tally::default();
    let mut last_answer = Value::Null;
    while let Some((answer, latency)) = answers.next().await {
        match answer {
            Ok(answer) => {
                tally.answered(answer.status.as_u16(), latency);
                last_answer = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            }
            Err(error) => tally.unanswered(format!("{error:#}"), latency),
        }
    }
    tell(context, &tally, &last_answer)?;
    Ok(if tally.all_taken() { Exit::Done } else { Exit::Failed })
}

async fn send_one(
    args: &Args,
    client: &Client,
    address: &Uri,
    signature: &str,
    body: Bytes,
) -> (anyhow::Result<Answer>, Duration) {
    let fresh = || Uuid::now_v7().to_string();
    let webhook_id = args.webhook_id.clone().unwrap_or_else(fresh);
    let delivery = Delivery {
        topic: args.topic,
        shop: &args.shop,
        webhook_id: &webhook_id,
        event_id: &fresh(),
        triggered_at: Clock::system().now(),
    };
    let started = Instant::now();
    let answer = match delivery.request(address, signature, body) {
        Ok(request) => client.send(request).await,
        Err(error) => Err(error),
    };
    (answer, started.elapsed())
}

fn tell(context: &Context, tally: &Tally, last_answer: &Value) -> anyhow::Result<()> {
    if context.json() {
        let failures = &tally.failures;
        output::json(&json!({ "answers": tally.to_json()?, "lastAnswer": last_answer, "failures": failures }))?;
        return Ok(());
    }
    tally.print()?;
    if !last_answer.is_null() {
        output::talk(&format!("last answer: {last_answer}"));
    }
    for (why, count) in &tally.failures {
        output::talk(&format!("{count} × {why}"));
    }
    Ok(())
}
