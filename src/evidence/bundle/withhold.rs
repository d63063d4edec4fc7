//! Withholds fields of entries as a redaction policy says, so that the leaf still verifies.

use super::event::Event;
use crate::evidence::leaf::{Field, METADATA};
use crate::redaction::{Compiled, Engine, Hand, Left, Policy};

/// The event type under which a policy has its rules for entries.
pub const EVENT_TYPE: &str = "audit_entry";

/// A field that a policy masks and that may not be withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy masks {0}, which must be told: nobody could check the course of a job without it")]
pub struct MustBeTold(pub &'static str);

/// Withholds fields of many entries. Entries of a bundle are mostly of one shop, whose rules are put together once.
#[derive(Debug)]
pub struct Withholder<'a> {
    policy: &'a Policy,
    engine: &'a Engine,
    of_shop: Option<OfShop<'a>>,
}

/// What holds for the entries of one shop.
#[derive(Debug)]
struct OfShop<'a> {
    shop: String,
    rules: Compiled,
    hand: Hand<'a>,
}

impl<'a> Withholder<'a> {
    /// Under a policy's rules for entries.
    pub const fn new(policy: &'a Policy, engine: &'a Engine) -> Self {
        Self { policy, engine, of_shop: None }
    }

    /// Withholds what the policy masks: the whole field, also when only a part of it is masked. What the mask leaves stands
    /// beside the commitment.
    ///
    /// # Errors
    /// [`MustBeTold`].
    pub fn withhold(&mut self, event: &mut Event) -> Result<(), MustBeTold> {
        let shop = event.text("shopDomain").unwrap_or_default();
        let of_shop = match self.of_shop.take() {
            Some(of_shop) if of_shop.shop == shop => of_shop,
            _ => OfShop {
                rules: self.policy.for_event(EVENT_TYPE, Some(shop)),
                hand: self.engine.hand(shop.to_owned()),
                shop: shop.to_owned(),
            },
        };
        let OfShop { rules, hand, .. } = self.of_shop.insert(of_shop);
        let Event { fields, masked, .. } = event;
        for (name, field) in fields {
            let Some(told) = field.value() else { continue };
            let left = match name.strip_prefix(METADATA) {
                Some(fact) => hand.mask_at(rules, &["metadata", fact], told),
                None => hand.mask_at(rules, &[name], told),
            };
            match left {
                Left::AsItWas => continue,
                Left::As(left) => drop(masked.insert(name.clone(), left)),
                Left::Gone => {}
            }
            *field = Field::Withheld { commitment: field.commitment(name) };
        }
        event.wrongly_withheld().map_or(Ok(()), |name| Err(MustBeTold(name)))
    }
}
