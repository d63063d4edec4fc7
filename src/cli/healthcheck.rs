//! `efface healthcheck`: for containers that have no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri};

use super::client::{Client, parse_address, with_path};
use super::{Context, Exit, output};

const EXAMPLES: &str = "\
Examples:
  efface healthcheck          asks the address in http.listen
  efface healthcheck --address http://10.0.0.7:8080";

/// Ask a running `serve` whether it is ready; exit code 0 when it is
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whom to ask; http.listen of the configuration when left out
    #[arg(long, value_name = "URL", value_parser = parse_address)]
    address: Option<Uri>,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout_seconds: u64,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let address = if let Some(address) = &args.address {
        context.log_without_config();
        address.clone()
    } else {
        let listen = context.config(Vec::new())?.http.listen;
        format!("http://{}/", reachable(listen)).parse()?
    };
    let request = Request::get(with_path(&address, "/ready")?).body(Full::<Bytes>::default())?;
    let sent = Client::new(Duration::from_secs(args.timeout_seconds)).send(request).await;
    let answer = sent.with_context(|| format!("nothing answers at {address} (http.listen, or --address)"))?;
    output::raw(&format!("{}\n", String::from_utf8_lossy(&answer.body).trim_end()))?;
    Ok(if answer.status.is_success() { Exit::Done } else { Exit::Failed })
}

/// A listener on every address is asked on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_listener_on_every_address_is_asked_on_the_loopback() {
        for (listen, asked) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.7:80", "10.0.0.7:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
