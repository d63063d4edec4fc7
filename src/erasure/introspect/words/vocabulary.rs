//! The words themselves, in small letters. Lists are texts of words with blanks between.

use super::Personal;

/// Words that make of `email…` or `phone…` something else than an address or a number.
pub(super) const ABOUT_IT: &str = "sent verified verification subject template body type status provider enabled at count settings id ids marketing \
     consent opt opted state html content notification notifications frequency domain title text footer header \
     campaign list log preference preferences format language service host port key password token model os code \
     country carrier from sender reply delay schedule error logo";
/// Whose address it is when it is the merchant's.
pub(super) const MERCHANTS: &str = "shop store owner admin support merchant staff seller vendor";
/// Other things that are called orders.
pub(super) const OTHER_ORDERS: &str = "draft fulfillment purchase sort display sub back work";
pub(super) const BUYERS: &str = "customer buyer shopper purchaser";
/// Columns with whom a message went to, by an address or a number; only in tables of messages.
pub(super) const ADDRESSEES: &str = "to recipient sentto toaddress recipientaddress";
pub(super) const MESSAGES: &str = "notification notifications message messages mail mails email emails sms outbox inbox reminder reminders alert alerts";
/// Ids of whatever the row is about: they may well be those of a customer or an order.
pub(super) const ANYTHING: &str =
    "resource record object entity subject owner item source reference target external parent model related";
/// Tables that may be the table of shops though nothing refers to them.
pub(super) const TENANTS: &str =
    "shop store tenant merchant installation user account organization organisation company client workspace";
/// Tables whose rows are people: their `name` is a person's.
pub(super) const PEOPLE: &str = "customer buyer user contact subscriber recipient lead person guest member address reviewer visitor affiliate \
     participant attendee session";
/// Last words that say that a text is one of the app's own, and none of a person's.
pub(super) const HARMLESS: &str = "status state type kind currency locale language lang timezone title sku handle slug plan platform version color \
     colour scope scopes mode level unit format theme category size icon topic action method provider channel \
     interval terms position environment name namespace domain checksum queue connection vendor barcode option rule \
     operator width height style font frequency role tier trust vertical variant product collection country placement \
     script shop store template";
/// Words by what they say, the first that fits decides. A word stands for itself anywhere in the name.
pub(super) const VOCABULARY: &[(Personal, &str)] = &[
    (
        Personal::Identifier,
        "fingerprint cookie cookies fbp fbc fbclid gclid ttclid visitor anonymous device checkouttoken carttoken clickid \
         userdata",
    ),
    (Personal::Credential, "password secret token apikey credential credentials passphrase"),
    (
        Personal::Name,
        "firstname lastname fullname surname nickname recipient customername buyername billingname shippingname \
         authorname displayname username familyname givenname",
    ),
    (
        Personal::Address,
        "address address1 address2 street city zip zipcode postcode postal postalcode company latitude longitude lat lng \
         geo location province",
    ),
    (Personal::Network, "ip ipaddress useragent ua referrer referer landing"),
    (Personal::Trait, "birthday birthdate dob gender age vat ssn passport iban last4 taxid avatar photo"),
    (
        Personal::FreeText,
        "note notes comment comments message feedback review answer answers remark remarks reply instructions query \
         search",
    ),
    (
        Personal::Payload,
        "payload raw metadata json request response properties attributes context details params arguments serialized \
         blob snapshot exception",
    ),
];
/// Pairs of words that make one.
pub(super) const PAIRS: &[&str] = &[
    "first name",
    "last name",
    "full name",
    "family name",
    "given name",
    "user agent",
    "ip address",
    "postal code",
    "zip code",
    "tax id",
    "customer name",
    "buyer name",
    "billing name",
    "shipping name",
    "author name",
    "display name",
    "user name",
    "cart token",
    "checkout token",
    "click id",
    "user data",
    "api key",
];

/// Tables that a framework keeps for itself, and what for.
pub fn framework(table: &str) -> Option<&'static str> {
    match table.to_ascii_lowercase().as_str() {
        "schema_migrations"
        | "ar_internal_metadata"
        | "_prisma_migrations"
        | "migrations"
        | "knex_migrations"
        | "knex_migrations_lock"
        | "flyway_schema_history"
        | "alembic_version"
        | "django_migrations"
        | "sequelizemeta"
        | "__drizzle_migrations"
        | "typeorm_metadata"
        | "seaql_migrations" => Some("the framework's list of applied migrations"),
        "cache_locks" => Some("the framework's locks"),
        _ => None,
    }
}
