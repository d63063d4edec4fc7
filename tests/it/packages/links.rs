//! A link is good for one whole download.

use chrono::TimeDelta;
use efface::app::App;
use efface::export::packages::TRIES_MAX;
use efface::export::{Download, Link, PackageError, expire};
use futures_util::StreamExt as _;
use serde_json::json;

use super::stage::{audited, files, operator, package, requested, town_request, written};
use crate::house::House;

/// Package id and token of a link.
fn parted(link: &Link) -> (String, String) {
    let path = link.url.split_once("/api/v1/exports/").unwrap().1;
    let (id, token) = path.split_once("?token=").unwrap();
    (id.to_owned(), token.to_owned())
}

async fn link(app: &App, job: &str) -> (String, String) {
    parted(&app.packages().make_link(operator(), job, None).await.unwrap())
}

async fn open(app: &App, (id, token): &(String, String)) -> Result<Download, PackageError> {
    app.packages().open(id, token).await
}

/// Takes all pieces, up to an error.
async fn taken(mut download: Download) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    while let Some(piece) = download.pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

fn is_gone<T>(result: &Result<T, PackageError>) -> bool {
    matches!(result, Err(PackageError::LinkGone(_) | PackageError::Removed))
}

/// A package of more than one piece: fifty rows of text that does not compress.
async fn several_pieces(house: &House) -> (App, String) {
    let app = super::stage::odd_house(house).await;
    for n in 0..50 {
        let text: String = (0..480).map(|_| efface::store::id::row()).collect::<Vec<_>>().join(&format!("{n}"));
        house
            .execute(&format!(
                r#"INSERT INTO "Note" ("id","shopId","orderId","text") VALUES ({n},'id of {}','1001','{}')"#,
                crate::house::ADA,
                // Hex digits of ids: the first ones are the time, and alike; the rest is random.
                text.replace('-', "")
            ))
            .await;
    }
    let job = requested(house, &app, &["1001"]).await;
    (app, job)
}

both_databases! {
    async fn a_link_is_good_for_one_whole_download(house: House) {
        let job = town_request(&house).await;
        let link = link(house.app(), &job).await;
        let zip = taken(open(house.app(), &link).await.unwrap()).await.unwrap();
        assert_eq!(zip, written(house.app(), &job, None).await);
        assert!(files(&zip).contains_key("manifest.json"));
        assert!(is_gone(&open(house.app(), &link).await), "it was used");
        assert!(is_gone(&house.app().packages().look(&link.0, &link.1).await));
        let package = package(&house, &job).await;
        assert_eq!((package.link_tries, package.link_used_at.is_some()), (1, true));

        let told: Vec<(String, String, String)> = audited(&house).await.into_iter()
            .map(|(actor, action, about)| {
                assert_eq!(about["jobId"], job.as_str());
                (actor, action, about["link"].as_str().or(about["to"].as_str()).unwrap().to_owned())
            })
            .collect();
        let expected = [("operator", "create", "made"), ("link", "read", "opened"), ("link", "export", "used"), ("operator", "export", "file")];
        assert_eq!(told, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
        house.assert_not_kept(&link.1).await;
    }

    async fn a_download_that_breaks_off_leaves_the_link_open_a_few_times(house: House) {
        let (app, job) = several_pieces(&house).await;
        let link = link(&app, &job).await;
        let whole = written(&app, &job, None).await;
        assert!(whole.len() > 3 * 64 * 1024, "the download must come in pieces");
        for n in 1..TRIES_MAX {
            let mut download = open(&app, &link).await.unwrap();
            // All pieces but the last are taken in the second round.
            let pieces = if n == 2 { whole.len() / (64 * 1024) } else { 1 };
            for _ in 0..pieces {
                download.pieces.next().await.unwrap().unwrap();
            }
            drop(download);
            assert_eq!(package(&house, &job).await.link_used_at, None, "try {n}");
        }
        assert_eq!(taken(open(&app, &link).await.unwrap()).await.unwrap(), whole);
        let tries: Vec<_> = audited(&house).await.into_iter().filter(|(_, action, _)| action == "read").map(|(.., about)| about["try"].clone()).collect();
        assert_eq!(tries, (1..=TRIES_MAX).map(|n| json!(n)).collect::<Vec<_>>());

        let link = super::links::link(&app, &job).await;
        for _ in 0..TRIES_MAX {
            drop(open(&app, &link).await.unwrap());
        }
        assert!(is_gone(&open(&app, &link).await), "opened too often");
    }

    async fn of_two_downloads_at_once_one_becomes_whole(house: House) {
        let job = town_request(&house).await;
        let link = link(house.app(), &job).await;
        let (first, second) = (open(house.app(), &link).await.unwrap(), open(house.app(), &link).await.unwrap());
        let (first, second) = tokio::join!(taken(first), taken(second));
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
        assert!(is_gone(&first) || is_gone(&second));
        assert_eq!(audited(&house).await.iter().filter(|(_, action, _)| action == "export").count(), 1);
    }

    async fn a_link_ends_with_its_time_and_with_its_successor(house: House) {
        let job = town_request(&house).await;
        let first = link(house.app(), &job).await;
        let second = link(house.app(), &job).await;
        assert!(is_gone(&open(house.app(), &first).await), "a newer one is in force");
        house.advance(TimeDelta::hours(72) - TimeDelta::seconds(2));
        house.app().packages().look(&second.0, &second.1).await.unwrap();
        house.advance(TimeDelta::seconds(2));
        assert!(is_gone(&open(house.app(), &second).await), "it has expired");

        // A link made in the package's last hours ends with the package.
        house.advance(TimeDelta::days(27) - TimeDelta::minutes(5));
        let made = house.app().packages().make_link(operator(), &job, None).await.unwrap();
        assert!(made.expires_at <= package(&house, &job).await.expires_at);
        house.advance(TimeDelta::minutes(6));
        assert!(is_gone(&open(house.app(), &parted(&made)).await));
        let refused = house.app().packages().make_link(operator(), &job, None).await;
        assert!(matches!(refused, Err(PackageError::Removed)), "{refused:?}");
    }

    async fn an_altered_token_opens_nothing(house: House) {
        let job = town_request(&house).await;
        let (id, token) = link(house.app(), &job).await;
        let other = format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
        let altered = format!("{}{}", if token.starts_with('B') { 'A' } else { 'B' }, &token[1..]);
        for (id, token) in [(&id, &altered), (&other, &token), (&id, &String::new()), (&id, &format!("{token}x"))] {
            let refused = house.app().packages().open(id, token).await;
            assert!(matches!(refused, Err(PackageError::UnknownLink)), "{refused:?}");
        }
        assert_eq!(package(&house, &job).await.link_tries, 0);
    }

    async fn an_encrypted_package_opens_with_the_merchants_key_alone(house: House) {
        let job = town_request(&house).await;
        let identity = age::x25519::Identity::generate();
        let recipient: efface::export::Recipient = identity.to_public().to_string().parse().unwrap();
        let plain = written(house.app(), &job, None).await;
        let file = written(house.app(), &job, Some(recipient.clone())).await;
        assert_eq!(age::decrypt(&identity, &file).unwrap(), plain);
        let made = house.app().packages().make_link(operator(), &job, Some(&recipient)).await.unwrap();
        let download = open(house.app(), &parted(&made)).await.unwrap();
        assert!(download.file_name.ends_with(".zip.age"));
        let fetched = taken(download).await.unwrap();
        assert!(fetched.starts_with(b"age-encryption.org/v1\n"));
        assert_eq!(age::decrypt(&identity, &fetched).unwrap(), plain);
        assert!(age::decrypt(&age::x25519::Identity::generate(), &fetched).is_err());
        assert!(age::decrypt(&identity, &fetched[..fetched.len() - 1]).is_err(), "cut short");
    }

    async fn a_package_that_goes_while_it_is_fetched_is_not_handed_over(house: House) {
        let (app, job) = several_pieces(&house).await;
        let link = link(&app, &job).await;
        let mut download = open(&app, &link).await.unwrap();
        download.pieces.next().await.unwrap().unwrap();
        house.advance(TimeDelta::days(30));
        assert_eq!(expire(house.store(), &house.clock).await.unwrap().packages, 1);
        assert!(taken(download).await.is_err());
    }
}
