//! Databases that misbehave on purpose: triggers that refuse a delete, or bring a row back.

use super::House;

impl House {
    /// From now on `table` refuses to delete rows that fulfil `when`, an expression over `OLD`. The refusal quotes a
    /// value, as a database's message may.
    pub async fn refuse_delete(&self, table: &str, when: &str) {
        let message = "no: jane.doe.4711@example.com is protected";
        if self.is_sqlite() {
            self.execute(&format!(
                r#"CREATE TRIGGER "refusal" BEFORE DELETE ON "{table}" WHEN {when}
                   BEGIN SELECT RAISE(ABORT, '{message}'); END"#
            ))
            .await;
        } else {
            self.execute(&format!(
                r#"CREATE FUNCTION refusal() RETURNS trigger LANGUAGE plpgsql AS $$
                   BEGIN IF {when} THEN RAISE EXCEPTION '{message}'; END IF; RETURN OLD; END $$;
                   CREATE TRIGGER "refusal" BEFORE DELETE ON "{table}" FOR EACH ROW EXECUTE FUNCTION refusal()"#
            ))
            .await;
        }
    }

    /// From now on deleted survey answers come back, as from an app that writes late.
    pub async fn bring_surveys_back(&self) {
        let insert = r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId") VALUES (OLD."id" || '+', OLD."shopId", OLD."orderId");"#;
        if self.is_sqlite() {
            let sql = format!(r#"CREATE TRIGGER "revenant" AFTER DELETE ON "SurveyResponse" BEGIN {insert} END"#);
            self.execute(&sql).await;
        } else {
            self.execute(&format!(
                r#"CREATE FUNCTION revenant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert} RETURN NULL; END $$;
                   CREATE TRIGGER "revenant" AFTER DELETE ON "SurveyResponse" FOR EACH ROW EXECUTE FUNCTION revenant()"#
            ))
            .await;
        }
    }

    pub async fn heal(&self, trigger: &str, table: &str) {
        let on = if self.is_sqlite() { String::new() } else { format!(r#" ON "{table}""#) };
        self.execute(&format!(r#"DROP TRIGGER "{trigger}"{on}"#)).await;
    }
}
