//! When a package's time is over, or an operator says so, its parts are gone.

use chrono::TimeDelta;
use efface::export::{Expired, PackageError, expire};
use entity::export_package::PackageStatus;
use entity::export_part;
use sea_orm::EntityTrait as _;

use super::stage::{audited, operator, package, parts, town_request};
use crate::house::{FEEDBACK, House};

/// Sealed bytes as they stand in the file, without what all parts begin with.
fn of_a_part(part: &export_part::Model) -> Vec<u8> {
    part.sealed[part.sealed.len() / 2..].to_vec()
}

/// More parts than one transaction deletes.
async fn fill_up(house: &House, package_id: &str) {
    let rows: Vec<export_part::ActiveModel> = (100..300)
        .map(|sequence| {
            let part = export_part::Model {
                id: efface::store::id::row(),
                package_id: package_id.to_owned(),
                sequence,
                table_name: "Note".to_owned(),
                rows: 1,
                sealed: vec![7; 64],
            };
            part.into()
        })
        .collect();
    export_part::Entity::insert_many(rows).exec_without_returning(house.store().db()).await.unwrap();
}

both_databases! {
    async fn a_package_is_removed_when_its_time_is_over(house: House) {
        let job = town_request(&house).await;
        let link = house.app().packages().make_link(operator(), &job, None).await.unwrap();
        let sealed = of_a_part(&parts(&house).await[0]);
        house.store().truncate_wal().await.unwrap();
        if house.is_sqlite() {
            assert!(house.is_on_disk(&sealed), "the test looks for the wrong bytes");
        }
        house.advance(TimeDelta::days(30) - TimeDelta::minutes(1));
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 0 });
        assert_eq!(package(&house, &job).await.status, PackageStatus::Ready);
        house.advance(TimeDelta::minutes(1));
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 1 });
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 0 });

        let package = package(&house, &job).await;
        assert_eq!((package.status, package.link_digest), (PackageStatus::Removed, None));
        assert!(package.removed_at.unwrap() >= package.expires_at);
        assert!(parts(&house).await.is_empty());
        assert!(!house.is_on_disk(&sealed), "in a file of the database");
        let (actor, action, about) = audited(&house).await.pop().unwrap();
        assert_eq!((actor.as_str(), action.as_str()), ("system", "delete"));
        assert_eq!(about, serde_json::json!({ "jobId": job, "rows": 18, "because": "its time was over" }));

        let token = link.url.split_once("token=").unwrap().1;
        assert!(matches!(house.app().packages().open(&package.id, token).await, Err(PackageError::LinkGone(_))));
        for gone in [
            house.app().packages().make_link(operator(), &job, None).await.map(|_| ()),
            house.app().packages().write_to(operator(), &job, None, Vec::new()).await.map(|_| ()),
            house.app().packages().remove(operator(), &job).await.map(|_| ()),
        ] {
            assert!(matches!(gone, Err(PackageError::Removed)), "{gone:?}");
        }
    }

    async fn an_operator_removes_a_package_early_and_its_link_is_gone(house: House) {
        let job = town_request(&house).await;
        let link = house.app().packages().make_link(operator(), &job, None).await.unwrap();
        let removed = house.app().packages().remove(operator(), &job).await.unwrap();
        assert_eq!(removed.status, PackageStatus::Removed);
        assert!(parts(&house).await.is_empty());
        let (actor, action, about) = audited(&house).await.pop().unwrap();
        assert_eq!((actor.as_str(), action.as_str()), ("operator", "delete"));
        assert_eq!(about["because"], "an operator asked for it");
        let token = link.url.split_once("token=").unwrap().1;
        assert!(matches!(house.app().packages().open(&removed.id, token).await, Err(PackageError::Removed)));
        assert!(matches!(house.app().packages().remove(operator(), "gdpr_0").await, Err(PackageError::NoPackage(_))));
        house.assert_not_kept(FEEDBACK).await;
    }

    async fn a_large_package_goes_in_steps_and_from_the_first_on_nobody_gets_it(house: House) {
        let job = town_request(&house).await;
        fill_up(&house, &package(&house, &job).await.id).await;
        // The second step fails: what the first one did stays done.
        house.refuse_delete("ExportPart", "OLD.\"sequence\" = 200").await;
        house.app().packages().remove(operator(), &job).await.unwrap_err();
        let left = parts(&house).await.len();
        assert!((1..204).contains(&left), "{left}");
        assert_eq!(package(&house, &job).await.status, PackageStatus::Removing);
        let refused = house.app().packages().make_link(operator(), &job, None).await;
        assert!(matches!(refused, Err(PackageError::Removed)), "{refused:?}");
        house.heal("refusal", "ExportPart").await;
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 1 });
        assert!(parts(&house).await.is_empty());
        assert_eq!(package(&house, &job).await.status, PackageStatus::Removed);
        let told: Vec<_> = audited(&house).await.into_iter().map(|(actor, action, _)| (actor, action)).collect();
        assert_eq!(told, [("operator", "update"), ("system", "delete")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    async fn several_schedulers_remove_each_package_once(house: House) {
        let job = town_request(&house).await;
        fill_up(&house, &package(&house, &job).await.id).await;
        house.advance(TimeDelta::days(30));
        let (store, clock) = (house.store(), &house.clock);
        let (a, b, c) = tokio::join!(expire(store, clock), expire(store, clock), expire(store, clock));
        assert_eq!(a.unwrap().packages + b.unwrap().packages + c.unwrap().packages, 1);
        assert_eq!(audited(&house).await.iter().filter(|(_, action, _)| action == "delete").count(), 1);
    }
}
