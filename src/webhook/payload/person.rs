//! Whom the body is about.

use super::{Mismatch, Subject, Unreadable, id_at};
use crate::seal::pii::Pii;
use crate::webhook::external_id::ExternalId;
use crate::webhook::strict_json::{Json, Object};
use crate::webhook::topic::Topic;

/// Longer than any address or number; what is longer is neither.
const CONTACT_LEN_MAX: usize = 1024;

/// Reads the subject and the id of the data request, as far as the topic has them.
pub(super) fn read(
    topic: Topic,
    fields: &Object<'_>,
) -> Result<(Subject, Option<ExternalId>, Option<Mismatch>), Unreadable> {
    let mut subject = Subject::default();
    let mut misfit = None;
    if topic.names_a_person()
        && let Some(Json::Object(customer)) = fields.get("customer")
    {
        subject.customer_id = id_at(customer, "id", "customer.id")?;
        let mut contact = |name, path| {
            contact(customer.get(name)).unwrap_or_else(|()| {
                misfit = misfit.or(Some(Mismatch::WrongKind(path)));
                None
            })
        };
        subject.email = contact("email", "customer.email");
        subject.phone = contact("phone", "customer.phone");
    }
    let data_request_id = match (topic, fields.get("data_request")) {
        (Topic::CustomersDataRequest, Some(Json::Object(request))) => id_at(request, "id", "data_request.id")?,
        _ => None,
    };
    Ok((subject, data_request_id, misfit))
}

/// An e-mail address or phone number, exactly as sent; null and blank ones count as missing.
///
/// One with control characters is refused: no table can hold it, and no database can be asked for it.
fn contact(value: Option<&Json<'_>>) -> Result<Option<Pii<String>>, ()> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => {
            let text = text.as_str();
            if text.len() > CONTACT_LEN_MAX || text.chars().any(char::is_control) {
                Err(())
            } else {
                Ok((!text.trim().is_empty()).then(|| Pii::new(text.to_owned())))
            }
        }
        Some(_) => Err(()),
    }
}
