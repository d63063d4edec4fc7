//! The question before every step: does a hold forbid it?
//!
//! PostgreSQL reads what has committed when the statement begins, so a hold that committed before is seen. What is
//! found to be held is locked against a release, so that a job becomes `held` either before its hold is released, and is
//! then queued by that release, or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use entity::legal_hold::HoldScope;
use sea_orm::ConnectionTrait;

use super::Holds;
use super::person::{self, Person};
use crate::store::StoreError;
use crate::store::gdpr_job::holding;
use crate::store::legal_hold::{self, InForce};

/// A job that is about to erase something.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub job_id: &'a str,
    pub shop_domain: &'a str,
    /// Everything of the shop, not one person.
    pub whole_shop: bool,
}

/// A hold that forbids a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cover {
    pub hold_id: String,
    pub scope: HoldScope,
    /// The table that is held.
    pub table: Option<String>,
}

impl Holds {
    /// Which of these jobs are forbidden, and by which holds; a job that is not among the answers is free. To be asked in
    /// the transaction that goes on to erase.
    ///
    /// - A whole shop is held by a hold on the shop, on any table that would be touched, and on any person in it.
    /// - A person is held by a hold on the shop, on any table that would be touched, and on that person. When the sealed
    ///   body that names the person does not open any more, every hold on a person in that shop counts.
    ///
    /// # Errors
    /// When the database refuses or does not answer: then nothing may be erased.
    pub async fn in_force(
        &self,
        conn: &impl ConnectionTrait,
        questions: &[Question<'_>],
    ) -> Result<BTreeMap<usize, Vec<Cover>>, StoreError> {
        loop {
            let mut shops: Vec<String> = questions.iter().map(|question| question.shop_domain.to_owned()).collect();
            shops.sort_unstable();
            shops.dedup();
            let holds = legal_hold::in_force(conn, shops).await?;
            if holds.is_empty() {
                return Ok(BTreeMap::new());
            }
            let covers = self.covers(conn, questions, &holds).await?;
            let found: HashSet<&str> = covers.values().flatten().map(|cover| cover.hold_id.as_str()).collect();
            let locked = legal_hold::lock_in_force(conn, found.iter().map(|id| (*id).to_owned()).collect()).await?;
            // One was released a moment ago: another may cover the same job.
            if locked.len() == found.len() {
                return Ok(covers);
            }
        }
    }

    async fn covers(
        &self,
        conn: &impl ConnectionTrait,
        questions: &[Question<'_>],
        holds: &[InForce],
    ) -> Result<BTreeMap<usize, Vec<Cover>>, StoreError> {
        let mut covers: BTreeMap<usize, Vec<Cover>> = BTreeMap::new();
        let mut persons: Vec<usize> = Vec::new();
        for (place, question) in questions.iter().enumerate() {
            let of_shop = |hold: &&InForce| hold.shop_domain.as_deref().is_none_or(|shop| shop == question.shop_domain);
            let found: Vec<Cover> =
                holds.iter().filter(of_shop).filter(|hold| self.covers_whoever(hold, question)).map(cover).collect();
            if !found.is_empty() {
                covers.insert(place, found);
            } else if holds.iter().filter(of_shop).any(|hold| hold.scope == HoldScope::Subject) {
                persons.push(place);
            }
        }
        if !persons.is_empty() {
            self.cover_persons(conn, questions, holds, &persons, &mut covers).await?;
        }
        Ok(covers)
    }

    /// Whether a hold covers a question, whomever it is about.
    fn covers_whoever(&self, hold: &InForce, question: &Question<'_>) -> bool {
        match hold.scope {
            HoldScope::Shop => true,
            HoldScope::Subject => question.whole_shop,
            HoldScope::Table => {
                let touched = if question.whole_shop { &self.reach.shop } else { &self.reach.customer };
                touched.iter().any(|table| Some(table) == hold.table_name.as_ref())
            }
        }
    }

    /// Opens what the jobs of these places know, and compares hashes.
    async fn cover_persons(
        &self,
        conn: &impl ConnectionTrait,
        questions: &[Question<'_>],
        holds: &[InForce],
        persons: &[usize],
        covers: &mut BTreeMap<usize, Vec<Cover>>,
    ) -> Result<(), StoreError> {
        let ids = persons.iter().map(|place| questions[*place].job_id.to_owned()).collect();
        let bodies: HashMap<String, holding::Body> =
            holding::bodies(conn, ids).await?.into_iter().map(|body| (body.id.clone(), body)).collect();
        for place in persons {
            let question = &questions[*place];
            let Some(body) = bodies.get(question.job_id) else { continue };
            let person = person::of_job(&self.keys, body).await?;
            let hashes: Option<HashSet<String>> = match &person {
                Person::Unknown => None,
                Person::Known(identifiers) => Some(
                    identifiers.iter().map(|identifier| identifier.hash(&self.keyring, question.shop_domain)).collect(),
                ),
            };
            let found: Vec<Cover> = holds
                .iter()
                .filter(|hold| hold.scope == HoldScope::Subject)
                .filter(|hold| hold.shop_domain.as_deref() == Some(question.shop_domain))
                .filter(|hold| hashes.as_ref().is_none_or(|hashes| !hashes.is_disjoint(&hold.subject)))
                .map(cover)
                .collect();
            if !found.is_empty() {
                covers.insert(*place, found);
            }
        }
        Ok(())
    }
}

fn cover(hold: &InForce) -> Cover {
    Cover { hold_id: hold.id.clone(), scope: hold.scope, table: hold.table_name.clone() }
}
