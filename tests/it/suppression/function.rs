//! The SQL function says what the program says.

on_postgres! {
    async fn the_function_agrees_with_the_program_for_many_values(house: House) {
        let house = furnished_with(house, &[("suppression.sql_function", "true")]).await;
        let job = erased(&house, 1).await;
        house.done(&Webhook::shop_redact(&shop(2))).await;
        let room = house.app().suppression();
        let mut values: Vec<(&str, String)> = vec![
            ("email", crate::suppression::shouted()), ("email", EMAIL.to_owned()), ("email", "Ärger@Example.com".to_owned()),
            ("email", " ".to_owned()), ("phone", "0049 555 0147 11".to_owned()), ("phone", "+49-555-0147-11".to_owned()),
            ("phone", "00".to_owned()), ("phone", "nobody".to_owned()), ("customer", "191167".to_owned()),
            ("customer", "gid://shopify/Customer/191167".to_owned()), ("customer", "gid://shopify/Order/191167".to_owned()),
            ("order", "4001".to_owned()), ("order", "gid://shopify/Order/4001".to_owned()), ("order", "#4001".to_owned()),
            ("order", "9007199254740993".to_owned()), ("order", "gid://shopify/Order/123456789012345678901".to_owned()),
        ];
        values.extend((0..300).map(|n| ("order", format!("{}", 3_900 + n))));
        values.extend((0..100).map(|n| ("email", format!("Jane.Doe.{}@example.com", 4_661 + n))));
        let mut hits = 0;
        for (kind, value) in &values {
            let theirs = ask(&house, &shop(1), kind, value).await;
            let ours = room.tombstones_of(&shop(1), kind, value).await.unwrap().is_some_and(|rows| !rows.is_empty());
            assert_eq!(theirs, Some(ours), "{kind} {value}");
            hits += u32::from(ours);
            assert_eq!(ask(&house, &shop(3), kind, value).await, Some(false));
        }
        assert_eq!(hits, 11, "{}", job.id);
        assert_eq!(ask(&house, &shop(2), "shop", &shop(2).to_uppercase()).await, Some(true));
        assert_eq!(ask(&house, &shop(1), "shop", &shop(1)).await, Some(false));
        assert_eq!(ask(&house, &shop(1), "e-mail", EMAIL).await, None, "no such kind");
    }

    async fn the_normal_forms_are_the_programs(house: House) {
        for text in ["  John@Example.COM ", "ÄÖ@x.y", "", " ", "0049 (30) 1", "000", "+1", "00", "a b"] {
            let quoted = text.replace('\'', "''");
            let email = one(&house, &format!("SELECT efface_normal_email('{quoted}') AS v")).await;
            let phone = one(&house, &format!("SELECT efface_normal_phone('{quoted}') AS v")).await;
            assert_eq!(email, efface::webhook::normal_form::email(text), "{text}");
            assert_eq!(phone, efface::webhook::normal_form::phone(text), "{text}");
        }
    }

    async fn no_key_is_in_the_database_unless_it_was_asked_for(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        let keys = r#"SELECT (SELECT count(*) FROM "SuppressionKey") + (SELECT count(*) FROM "SuppressionDigest") AS n"#;
        assert_eq!(house.number(keys).await, 0);
        assert_eq!(ask(&house, &shop(1), "order", "4001").await, None, "null, and not false: nothing is recorded for it");
        let map = crate::suppression::map_file();
        let settings = [("data_map.file", map.as_str()), ("data_map.match_keys.crm", "crm-secret"), ("suppression.sql_function", "true")];
        let on = house.another(&settings).await;
        assert_eq!(ask(&house, &shop(1), "order", "4001").await, Some(true), "filled from what was there");
        on.store().close().await;
        let off = house.another(&settings[..2]).await;
        assert_eq!(house.number(keys).await, 0);
        off.store().close().await;
    }

    async fn an_expired_digest_counts_no_more(house: House) {
        let house = furnished_with(house, &[("suppression.sql_function", "true")]).await;
        erased(&house, 1).await;
        house.execute(r#"UPDATE "SuppressionDigest" SET "expiresAt" = now() - interval '1 second'"#).await;
        assert_eq!(ask(&house, &shop(1), "order", "4001").await, Some(false));
        sweep(&house).await;
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "SuppressionDigest""#).await, 0);
    }
}

use sea_orm::{ConnectionTrait as _, Statement};

use super::{erased, furnished, furnished_with, shop, sweep};
use crate::house::{EMAIL, House, Webhook};

async fn ask(house: &House, shop: &str, kind: &str, value: &str) -> Option<bool> {
    let sql = "SELECT efface_is_suppressed($1, $2, $3) AS v";
    let statement =
        Statement::from_sql_and_values(house.store().backend(), sql, [shop.into(), kind.into(), value.into()]);
    house.store().db().query_one_raw(statement).await.unwrap().unwrap().try_get("", "v").unwrap()
}

async fn one(house: &House, sql: &str) -> Option<String> {
    let statement = Statement::from_string(house.store().backend(), sql);
    house.store().db().query_one_raw(statement).await.unwrap().unwrap().try_get("", "v").unwrap()
}
