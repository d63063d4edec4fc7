//! Which rows are due: to the microsecond, in every form in which apps store instants.

use chrono::{DateTime, TimeDelta, Utc};
use efface::store::target::purge::{Cutoffs, Due, Expiry, InstantForm};

use super::{at, dry, ident, limits, visits, visits_by_shop};
use crate::house::House;

/// One way to store an instant.
struct Stored {
    form: InstantForm,
    data_type: &'static str,
    /// Instants are stored to so many microseconds.
    unit: i64,
    write: fn(i64) -> String,
}

fn text(micros: i64, form: &str) -> String {
    format!("'{}'", DateTime::<Utc>::from_timestamp_micros(micros).unwrap().format(form))
}

fn an_hour_east(micros: i64) -> String {
    text(micros + 3_600_000_000, "%Y-%m-%dT%H:%M:%S%.6f+01:00")
}

fn stored(sqlite: bool) -> Vec<Stored> {
    use InstantForm::{IsoText, Timestamp, UnixMillis, UnixSeconds};
    let of = |form, data_type, unit, write| Stored { form, data_type, unit, write };
    let zulu: fn(i64) -> String = |at| text(at, "%Y-%m-%dT%H:%M:%S%.6fZ");
    let mut all = vec![
        of(Timestamp, "timestamp", 1, |at| text(at, "%Y-%m-%d %H:%M:%S%.6f")),
        of(Timestamp, "timestamp(3)", 1_000, |at| text(at, "%Y-%m-%dT%H:%M:%S%.3f")),
        of(IsoText, "text", 1, zulu),
        of(IsoText, "text", 1_000, |at| text(at, "%Y-%m-%dT%H:%M:%S%.3fZ")),
        of(IsoText, "text", 1_000_000, |at| text(at, "%Y-%m-%d %H:%M:%S")),
        of(IsoText, "text", 1, |at| text(at, "%Y-%m-%dT%H:%M:%S%.9f+00:00")),
        of(IsoText, "text", 1, an_hour_east),
        of(IsoText, "text", 1_000_000, |at| text(at - 5_400_000_000, "%Y-%m-%dT%H:%M:%S-0130")),
        of(IsoText, "text", 86_400_000_000, |at| text(at, "%Y-%m-%d")),
        of(UnixMillis, "bigint", 1_000, |at| (at / 1_000).to_string()),
        of(UnixSeconds, "bigint", 1_000_000, |at| (at / 1_000_000).to_string()),
        of(UnixSeconds, "integer", 1_000_000, |at| (at / 1_000_000).to_string()),
        of(UnixMillis, "numeric", 1_000, |at| (at / 1_000).to_string()),
        of(UnixSeconds, "numeric", 1_000, |at| format!("{}.{:03}", at / 1_000_000, at / 1_000 % 1_000)),
    ];
    if !sqlite {
        all.push(of(Timestamp, "timestamptz", 1, zulu));
        all.push(of(Timestamp, "timestamptz(3)", 1_000, zulu));
        all.push(of(Timestamp, "date", 86_400_000_000, |at| text(at, "%Y-%m-%d")));
    }
    all
}

const CUTOFFS: [&str; 5] = [
    "2026-11-21T09:30:00Z",
    "2026-11-21T09:30:00.000001Z",
    "2026-11-21T09:29:59.999999Z",
    "2026-03-01T00:00:00Z",
    "2024-02-29T00:00:00.5Z",
];

/// Around a cutoff, by distance: far and near, in steps of every unit.
const AROUND: [i64; 15] = [
    -40 * 86_400_000_000,
    -86_400_000_000,
    -3_600_000_000,
    -1_000_000,
    -1_000,
    -2,
    -1,
    0,
    1,
    2,
    1_000,
    1_000_000,
    3_600_000_000,
    86_400_000_000,
    400 * 86_400_000_000,
];

async fn check(house: &House, expiry: &Expiry, expected: Due, left: &[String], context: &str) {
    assert_eq!(house.due(expiry).await, expected, "{context}");
    let before = house.ids().await;
    let tried = house.purge(expiry, dry(limits())).await;
    assert_eq!((tried.rows, house.ids().await), (expected.due, before), "a dry run, {context}");
    let purged = house.purge(expiry, limits()).await;
    assert_eq!((purged.rows, purged.locked, purged.resume), (expected.due, 0, None), "{context}");
    let mut left = left.to_vec();
    left.sort();
    assert_eq!(house.ids().await.into_iter().collect::<Vec<_>>(), left, "{context}");
}

both_databases! {
    /// A row at the cutoff stays, one a microsecond before it goes, and so does each in the coarser forms.
    async fn what_is_before_the_cutoff_goes_and_nothing_else(house: House) {
        for (number, stored) in stored(house.is_sqlite()).iter().enumerate() {
            for cutoff in CUTOFFS {
                let context = format!("{number} {:?} in {} against {cutoff}", stored.form, stored.data_type);
                let cut = at(cutoff).timestamp_micros();
                house.with_visits(stored.data_type).await;
                let (mut left, mut due, mut oldest) = (vec!["never".to_owned()], 0, i64::MAX);
                house.execute(r#"INSERT INTO "Visit" VALUES ('never', '1', NULL)"#).await;
                for distance in AROUND {
                    let micros = (cut + distance).div_euclid(stored.unit) * stored.unit;
                    let (id, value) = (format!("{distance}"), (stored.write)(micros));
                    house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('{id}', '1', {value})"#)).await;
                    oldest = oldest.min(micros);
                    if micros < cut {
                        due += 1;
                    } else {
                        left.push(id);
                    }
                }
                let total = AROUND.len() as u64 + 1;
                // What is counted as oldest is told in whole units.
                let expected = Due { total, due, held: 0, unread: 0, oldest: house.due(&visits(stored.form, at(cutoff))).await.oldest };
                let told = expected.oldest.unwrap().timestamp_micros();
                assert!((0..1_000_000).contains(&(oldest - told)), "{context}: oldest {told} is not {oldest}");
                let expiry = if number % 2 == 0 { visits(stored.form, at(cutoff)) } else { visits_by_shop(stored.form, &[("1", at(cutoff))]) };
                check(&house, &expiry, expected, &left, &context).await;
            }
        }
    }

    /// What is no instant is counted, and stays.
    async fn what_cannot_be_read_is_never_due(house: House) {
        house.with_visits("text").await;
        let unread = ["", "now", "soon", "2459000", "2026-13-01T00:00:00Z", "2020-01-01T25:00:00Z", "2020-01-01T00:00:00 Mars", "x2020-01-01", "20200101"];
        for (number, text) in unread.iter().enumerate() {
            house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('{number}', '1', '{text}')"#)).await;
        }
        house.execute(r#"INSERT INTO "Visit" VALUES ('old', '1', '2020-01-01T00:00:00Z')"#).await;
        let left: Vec<String> = (0..unread.len()).map(|number| number.to_string()).collect();
        let oldest = Some(at("2020-01-01T00:00:00Z"));
        let expected = Due { total: 10, due: 1, held: 0, unread: 9, oldest };
        check(&house, &visits(InstantForm::IsoText, at("2026-01-01T00:00:00Z")), expected, &left, "unread").await;
    }

    /// Each shop has its own cutoff; other shops, nobody's rows and held ones stay.
    async fn a_shop_loses_what_its_own_cutoff_says(house: House) {
        house.with_visits("bigint").await;
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z"));
        let mut left = Vec::new();
        for shop in ["'a'", "'b'", "'c'", "'d'", "'A'", "NULL"] {
            for (days, name) in [(-1, "old"), (10, "new"), (200, "newest")] {
                let id = format!("{shop} {name}").replace('\'', "");
                let seconds = (early + TimeDelta::days(days)).timestamp();
                house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('{id}', {shop}, {seconds})"#)).await;
                if !["a old", "b old", "b new"].contains(&id.as_str()) {
                    left.push(id);
                }
            }
        }
        let mut expiry = visits_by_shop(InstantForm::UnixSeconds, &[("a", early), ("b", late), ("d", late), ("d", early), ("a", late)]);
        expiry.held = Some((ident("shop"), vec!["d".into(), "zzz".into()]));
        let expected = Due { total: 18, due: 3, held: 1, unread: 0, oldest: Some(early - TimeDelta::days(1)) };
        check(&house, &expiry, expected, &left, "shops").await;
        // The same columns as classes, without a hold.
        expiry.held = None;
        let Cutoffs::ByShop { column, cutoffs } = expiry.cutoffs else { unreachable!() };
        expiry.cutoffs = Cutoffs::ByClass { column, cutoffs };
        left.retain(|id| id != "d old");
        let expected = Due { total: 15, due: 1, held: 0, unread: 0, oldest: Some(early - TimeDelta::days(1)) };
        check(&house, &expiry, expected, &left, "classes").await;
    }

    /// A hold counts whatever chooses the cutoff, and a row without a value there is under none.
    async fn held_rows_are_counted_and_stay(house: House) {
        house.with_visits("bigint").await;
        for (id, shop, seconds) in [("1", "'a'", 10), ("2", "'b'", 10), ("3", "NULL", 10), ("4", "'a'", 5_000_000_000_i64)] {
            house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('{id}', {shop}, {seconds})"#)).await;
        }
        let mut expiry = visits(InstantForm::UnixSeconds, at("2026-01-01T00:00:00Z"));
        expiry.held = Some((ident("shop"), vec!["a".into()]));
        let oldest = DateTime::from_timestamp(10, 0);
        let expected = Due { total: 4, due: 2, held: 1, unread: 0, oldest };
        check(&house, &expiry, expected, &["1".into(), "4".into()], "held").await;
    }

    /// However many cutoffs there are, and of however many shops, each shop loses what its own says.
    async fn a_few_cutoffs_and_many_say_the_same(house: House) {
        let day = |day: i64| at("2026-01-01T00:00:00Z") + TimeDelta::days(day);
        for (data_type, form) in [("timestamp", InstantForm::Timestamp), ("bigint", InstantForm::UnixSeconds), ("numeric", InstantForm::UnixMillis)] {
            for different in [1, 5, 32, 33, 100] {
                house.with_visits(data_type).await;
                let (mut left, mut rows) = (vec!["nobody".to_owned(), "other".to_owned()], Vec::new());
                let write = |at: DateTime<Utc>| match form {
                    InstantForm::UnixSeconds => at.timestamp().to_string(),
                    InstantForm::UnixMillis => at.timestamp_millis().to_string(),
                    _ => text(at.timestamp_micros(), "%Y-%m-%d %H:%M:%S%.6f"),
                };
                rows.push(format!("('nobody', NULL, {})", write(day(-1))));
                rows.push(format!("('other', 'x', {})", write(day(-1))));
                let cutoffs: Vec<(String, DateTime<Utc>)> = (0..100).map(|shop| (format!("shop {shop}"), day(shop % different))).collect();
                for (shop, cutoff) in &cutoffs {
                    for (when, name) in [(*cutoff - TimeDelta::seconds(1), "old"), (*cutoff, "at"), (*cutoff + TimeDelta::seconds(1), "new")] {
                        rows.push(format!("('{shop} {name}', '{shop}', {})", write(when)));
                        if name != "old" {
                            left.push(format!("{shop} {name}"));
                        }
                    }
                }
                house.execute(&format!(r#"INSERT INTO "Visit" VALUES {}"#, rows.join(", "))).await;
                let expiry = Expiry { cutoffs: Cutoffs::ByShop { column: ident("shop"), cutoffs }, ..visits(form, DateTime::UNIX_EPOCH) };
                let expected = Due { total: 302, due: 100, held: 0, unread: 0, oldest: Some(day(-1)) };
                check(&house, &expiry, expected, &left, &format!("{different} cutoffs, {data_type}")).await;
            }
        }
    }

    /// Without any cutoff there is nothing to do.
    async fn no_cutoff_means_never(house: House) {
        house.with_many_visits(10).await;
        let expiry = visits_by_shop(InstantForm::UnixSeconds, &[]);
        assert_eq!(house.due(&expiry).await.due, 0);
        assert_eq!(house.purge(&expiry, limits()).await.rows, 0);
        assert_eq!(house.visits().await, 10);
    }
}

on_postgres! {
    /// Shops may have numbers or UUIDs, classes an enumeration; what is no such value is nobody.
    async fn the_column_that_chooses_may_have_any_type(house: House) {
        house.execute(r#"CREATE TYPE "Kind" AS ENUM ('org', 'private', '7')"#).await;
        let uuid = "018f2f6e-7d5b-7c1a-b7a1-000000000007";
        let cutoff = at("2026-01-01T00:00:00Z");
        for (data_type, value, other) in [("bigint", "7", "8"), ("integer", "7", "8"), ("numeric(20)", "7", "8"), ("uuid", uuid, "018f2f6e-7d5b-7c1a-b7a1-000000000008"), (r#""Kind""#, "org", "private"), ("varchar(40)", "7", "8")] {
            house.with_visits("timestamptz").await;
            house.execute(&format!(r#"ALTER TABLE "Visit" ALTER "shop" TYPE {data_type} USING NULL"#)).await;
            house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('1', '{value}', '2025-01-01Z'), ('2', '{other}', '2025-01-01Z'), ('3', NULL, '-infinity'), ('4', '{value}', '-infinity'), ('5', '{value}', 'infinity')"#)).await;
            let cutoffs = [value, "none' of these", "99999999999999999999999", "private7"].map(|key| (key, cutoff));
            let expiry = visits_by_shop(InstantForm::Timestamp, &cutoffs);
            let expected = Due { total: 5, due: 1, held: 0, unread: 3, oldest: Some(at("2025-01-01T00:00:00Z")) };
            check(&house, &expiry, expected, &["2".into(), "3".into(), "4".into(), "5".into()], data_type).await;
        }
    }

    /// A form that the column's type cannot have is an error, not a guess.
    async fn a_wrong_form_is_refused(house: House) {
        house.with_visits("text").await;
        for form in [InstantForm::Timestamp, InstantForm::UnixMillis, InstantForm::UnixSeconds] {
            let expiry = visits(form, at("2026-01-01T00:00:00Z"));
            let error = efface::store::target::purge::due(house.store(), &expiry).await.unwrap_err().to_string();
            assert_eq!(error, r#"rows of "Visit" cannot be purged: its column "at" of type text does not hold instants of that form"#);
        }
    }
}
