//! What introspection makes of real schemas, and where it once went wrong.

use efface::erasure::introspect::Proposal;

use super::app::App;

/// What waits for a decision, as `table.column`.
fn open(proposal: &Proposal) -> Vec<String> {
    let of = |table: &efface::erasure::introspect::TableGuess| -> Vec<String> {
        table.decide.iter().map(|open| format!("{}.{}", table.name, open.column)).collect()
    };
    proposal.tables.iter().flat_map(of).collect()
}

/// The ways to a customer that a table itself has.
fn ways(proposal: &Proposal, table: &str) -> Vec<String> {
    let guess = proposal.tables.iter().find(|guess| guess.name == table).unwrap();
    let own = guess.matches.iter().filter(|found| found.at.is_none());
    own.map(|found| {
        let json = found.json.as_ref().map_or(String::new(), |path| format!(" {path}"));
        format!("{}{json}={}", found.column, found.by.as_str())
    })
    .collect()
}

fn shop(proposal: &Proposal) -> Option<&str> {
    proposal.shop.as_ref().map(|shop| shop.table.as_str())
}

/// Settings have one row a shop and requests are what other tables refer to: neither is the table of shops.
#[tokio::test]
async fn an_app_without_a_table_of_shops_gets_none() {
    for name in ["returns", "loyalty", "points"] {
        let app = App::sqlite(name).await;
        assert_eq!(shop(&app.proposal().await), None, "{name}");
        assert_eq!(shop(&app.blind_proposal().await), None, "{name}");
    }
    let insights = App::sqlite("insights").await;
    assert_eq!(shop(&insights.proposal().await), Some("Tenant"));
    assert_eq!(shop(&insights.blind_proposal().await), Some("Tenant"));
}

#[tokio::test]
async fn returns_are_understood() {
    let proposal = App::sqlite("returns").await.proposal().await;
    assert_eq!(ways(&proposal, "NotificationLog"), ["to=email", "to=phone"]);
    assert_eq!(
        ways(&proposal, "ReturnRequest"),
        ["orderId=order_id", "customerEmail=email", "exchangeOrderId=order_id"]
    );
    assert!(ways(&proposal, "ShopSettings").is_empty(), "the merchant's own number");
    assert_eq!(
        open(&proposal),
        [
            "NotificationTemplate.event",
            "NotificationTemplate.subject",
            "NotificationTemplate.body",
            "ShippingLabel.exchangeRequestId",
            "ShopSettings.autoRejectReasons",
            "ShopSettings.returnReasons",
            "ShopSettings.emailFrom",
            "ShopSettings.smsFrom",
            "ShopSettings.twilioAccountSid",
            "ShopSettings.twilioPhoneNumber",
        ]
    );
}

/// What rows show weighs more than a name: a `shop_id` may hold the domain.
#[tokio::test]
async fn an_id_that_holds_the_domain_is_told_by_its_rows() {
    let app = App::sqlite("loyalty").await;
    let toml = app.proposal().await.to_toml();
    assert!(!toml.contains("\"shop_id\" }"), "{toml}");
    assert_eq!(toml.matches("column = \"shop_id\", holds = \"shop_domain\"").count(), 4, "{toml}");
    let blind = app.blind_proposal().await;
    let undecided: Vec<&str> = blind.undecided.iter().map(|out| out.table.as_str()).collect();
    assert_eq!(undecided, ["customers", "ledger", "redemptions", "rewards"], "names alone do not tell: a person must");
}

#[tokio::test]
async fn bodies_of_privacy_webhooks_are_searched_by_path_and_not_as_an_address() {
    let proposal = App::sqlite("points").await.proposal().await;
    assert_eq!(
        ways(&proposal, "PrivacyEvent"),
        [
            "payloadJson customer.email=email",
            "payloadJson customer.id=customer_id",
            "payloadJson orders_requested[*]=order_id",
            "payloadJson orders_to_redact[*]=order_id",
        ]
    );
    assert!(open(&proposal).contains(&"WebhookEvent.resourceId".to_owned()), "it could be an order's id");
}

/// A reference that no foreign key can say is not passed over in silence.
#[tokio::test]
async fn tables_that_refer_to_rows_of_any_table_are_asked_about() {
    let app = App::sqlite("insights").await;
    app.run(
        r#"CREATE TABLE "active_storage_attachments" ("id" INTEGER PRIMARY KEY, "name" VARCHAR NOT NULL,
               "record_type" VARCHAR NOT NULL, "record_id" BIGINT NOT NULL, "blob_id" BIGINT NOT NULL);"#,
    )
    .await;
    let proposal = app.proposal().await;
    let out = proposal.undecided.iter().find(|out| out.table == "active_storage_attachments").unwrap();
    assert!(out.because.contains("record_type"), "{}", out.because);
}
