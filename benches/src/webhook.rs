//! Makes signed webhooks as Shopify sends them: number `n` of a seed is always the same one, so that a duplicate is the
//! same bytes again and a run can be repeated.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use sha2::Sha256;

/// Order ids of the reference rows start after this number; beyond 2^32 like real ones.
pub const FIRST_ORDER: u64 = 5_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    #[value(name = "customers/redact")]
    CustomersRedact,
    #[value(name = "customers/data_request")]
    CustomersDataRequest,
    #[value(name = "shop/redact")]
    ShopRedact,
    /// Seven `customers/redact`, two `customers/data_request`, one `shop/redact`.
    Mixed,
}

/// Which orders webhook `n` names.
#[derive(Clone, Copy, Debug)]
pub enum Orders {
    /// Three that nobody has: the webhook is accepted, its job finds nothing.
    Unknown,
    /// Ten of the reference rows, each order in one webhook only.
    OfShops(Arrangement),
}

/// How the reference rows are dealt out to shops and jobs.
#[derive(Clone, Copy, Debug)]
pub struct Arrangement {
    pub shops: u64,
    pub orders_per_shop: u64,
    /// A job's orders lie apart by a tenth of the shop's, as those of a customer of many years, not side by side.
    pub spread: bool,
}

pub const ORDERS_PER_JOB: u64 = 10;

impl Arrangement {
    /// The shop of job `n` and its ten orders. Jobs of different shops follow one another.
    pub fn job(&self, n: u64) -> (u64, [u64; 10]) {
        let (shop, place) = (n % self.shops, n / self.shops);
        let first = FIRST_ORDER + shop * self.orders_per_shop + 1;
        let orders = std::array::from_fn(|index| {
            let index = index as u64;
            if self.spread {
                first + place + index * (self.orders_per_shop / ORDERS_PER_JOB)
            } else {
                first + place * ORDERS_PER_JOB + index
            }
        });
        (shop, orders)
    }
}

#[derive(Debug)]
pub struct Mint {
    secret: Hmac<Sha256>,
    pub topic: Topic,
    pub orders: Orders,
    /// Tells runs apart: ids of two seeds never meet.
    pub seed: u64,
    /// Percent of webhooks that repeat an earlier one.
    pub duplicates: u8,
    /// Percent of webhooks whose HMAC is wrong.
    pub forged: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Original,
    Duplicate,
    Forged,
}

#[derive(Debug)]
pub struct Webhook {
    pub kind: Kind,
    pub request: Request<Full<Bytes>>,
}

impl Mint {
    pub fn new(secret: &str, topic: Topic, orders: Orders) -> anyhow::Result<Self> {
        let secret = Hmac::new_from_slice(secret.as_bytes())?;
        let seed = uuid::Uuid::now_v7().as_u64_pair().1;
        Ok(Self { secret, topic, orders, seed, duplicates: 0, forged: 0 })
    }

    pub fn webhook(&self, n: u64, host: &str, path: &str) -> Webhook {
        let kind = self.kind(n);
        let body_of = if kind == Kind::Duplicate { self.original_before(n) } else { n };
        let topic = self.topic_of(body_of);
        let (shop, body) = self.body(body_of, topic);
        let mut mac = self.secret.clone();
        mac.update(body.as_bytes());
        if kind == Kind::Forged {
            mac.update(b" ");
        }
        let request = Request::post(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Shopify-Topic", topic)
            .header("X-Shopify-Hmac-Sha256", STANDARD.encode(mac.finalize().into_bytes()))
            .header("X-Shopify-Shop-Domain", &shop)
            .header("X-Shopify-API-Version", "2026-10")
            .header("X-Shopify-Webhook-Id", id("w", self.seed, body_of))
            .header("X-Shopify-Event-Id", id("e", self.seed, body_of))
            .header("X-Shopify-Triggered-At", "2026-11-01T12:00:00.000000000Z")
            .body(Full::new(Bytes::from(body)))
            .expect("a request of fixed headers is valid");
        Webhook { kind, request }
    }

    fn kind(&self, n: u64) -> Kind {
        let roll = (scatter(n ^ self.seed) % 100) as u8;
        match roll {
            // The first is what a duplicate repeats when nothing nearer is an original.
            _ if n == 0 => Kind::Original,
            _ if roll < self.duplicates => Kind::Duplicate,
            _ if roll >= 100 - self.forged.min(100) => Kind::Forged,
            _ => Kind::Original,
        }
    }

    /// An original sent a while before `n`: up to a thousand webhooks ago, the very first when none is nearer.
    fn original_before(&self, n: u64) -> u64 {
        let from = n - 1 - scatter(n) % n.min(1000);
        (0..=from).rev().find(|&earlier| self.kind(earlier) == Kind::Original).unwrap_or(0)
    }

    fn topic_of(&self, n: u64) -> &'static str {
        match self.topic {
            Topic::CustomersRedact => "customers/redact",
            Topic::CustomersDataRequest => "customers/data_request",
            Topic::ShopRedact => "shop/redact",
            Topic::Mixed => match n % 10 {
                0..=6 => "customers/redact",
                7 | 8 => "customers/data_request",
                _ => "shop/redact",
            },
        }
    }

    fn body(&self, n: u64, topic: &str) -> (String, String) {
        let (shop, orders) = match self.orders {
            Orders::OfShops(arrangement) => {
                let (shop, orders) = arrangement.job(n);
                (shop, orders.map(|order| order.to_string()).join(","))
            }
            Orders::Unknown => {
                let order = FIRST_ORDER + (scatter(self.seed) >> 20) + n * 3;
                (n % 100, format!("{order},{},{}", order + 1, order + 2))
            }
        };
        let domain = format!("shop-{shop}.myshopify.com");
        let shop = format!(r#""shop_id":{},"shop_domain":"{domain}""#, 900_000 + shop);
        let number = 6_000_000_000_000 + (self.seed >> 20) + n;
        let customer = format!(
            r#""customer":{{"id":{number},"email":"customer-{number}@example.com","phone":"+49{:010}"}}"#,
            number % 10_000_000_000
        );
        let body = match topic {
            "shop/redact" => format!("{{{shop}}}"),
            "customers/redact" => format!(r#"{{{shop},{customer},"orders_to_redact":[{orders}]}}"#),
            _ => format!(r#"{{{shop},{customer},"orders_requested":[{orders}],"data_request":{{"id":{number}}}}}"#),
        };
        (domain, body)
    }
}

/// Looks like the UUIDs Shopify sends.
fn id(kind: &str, seed: u64, n: u64) -> String {
    let seed = seed ^ scatter(u64::from(kind.as_bytes()[0]));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{n:012x}",
        seed >> 32,
        (seed >> 16) & 0xffff,
        (seed >> 4) & 0xfff,
        seed & 0xf
    )
}

/// `SplitMix64`: numbers that follow one another come out unrelated.
fn scatter(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Arrangement, Kind, Mint, Orders, Topic, Webhook};

    fn header(webhook: &Webhook, name: &str) -> String {
        webhook.request.headers()[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_signature_is_shopifys() {
        use base64::Engine;
        use hmac::Mac;
        let mint = Mint::new("hush", Topic::CustomersRedact, Orders::Unknown).unwrap();
        let mut mac = mint.secret.clone();
        mac.update(br#"{"shop_id":954889,"shop_domain":"snowdevil.myshopify.com"}"#);
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(signature, "unXxOs41nqtk5v6Btqh9qz9Dh6mprKtn5eLN4XfJwSY=");
    }

    #[test]
    fn a_duplicate_repeats_an_original_and_nothing_else_repeats() {
        let mut mint = Mint::new("hush", Topic::Mixed, Orders::Unknown).unwrap();
        (mint.duplicates, mint.forged) = (20, 10);
        let mut originals = HashSet::new();
        let mut kinds = [0; 3];
        for n in 0..2000 {
            let webhook = mint.webhook(n, "localhost", "/webhooks");
            let key = (header(&webhook, "X-Shopify-Webhook-Id"), header(&webhook, "X-Shopify-Hmac-Sha256"));
            kinds[webhook.kind as usize] += 1;
            match webhook.kind {
                Kind::Original => assert!(originals.insert(key)),
                Kind::Duplicate => assert!(originals.contains(&key)),
                Kind::Forged => assert!(!originals.contains(&key)),
            }
        }
        assert!((300..500).contains(&kinds[1]) && (130..270).contains(&kinds[2]), "{kinds:?}");
    }

    #[test]
    fn every_order_belongs_to_one_job() {
        for spread in [false, true] {
            let arrangement = Arrangement { shops: 4, orders_per_shop: 50, spread };
            let orders: HashSet<u64> = (0..20).flat_map(|n| arrangement.job(n).1).collect();
            assert_eq!(orders.len(), 200);
            assert_eq!(orders.iter().max().unwrap() - orders.iter().min().unwrap(), 199);
        }
    }
}
