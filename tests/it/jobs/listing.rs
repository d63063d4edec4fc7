//! The list of jobs, page by page.

use efface::job::query::{Filter, page};
use entity::gdpr_job::{JobStatus, JobType};

use crate::house::{ADA, BEA, House, Webhook};

/// All pages of `limit`, in order.
async fn pages(house: &House, mut filter: Filter, limit: u64) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let (jobs, more) = page(house.store(), &filter, limit).await.unwrap();
        assert!(jobs.len() as u64 == limit || !more, "only the last page may be short");
        all.extend(jobs.into_iter().map(|job| job.id));
        if !more {
            return all;
        }
        filter.before = all.last().cloned();
    }
}

both_databases! {
    async fn paging_shows_every_job_once_newest_first(house: House) {
        house.leaves_jobs();
        let mut made = Vec::new();
        for n in 0..10_u64 {
            made.push(house.post(&Webhook::customers_redact(ADA, &[n])).await);
            let batch = [Webhook::shop_redact(BEA), Webhook::customers_redact(BEA, &[n])];
            made.extend(house.accept(&batch).await.into_iter().map(|accepted| accepted.job_id));
        }
        let mut newest_first = made.clone();
        newest_first.sort_unstable();
        newest_first.reverse();
        for limit in [1, 7, 15, 30, 31] {
            assert_eq!(pages(&house, Filter::default(), limit).await, newest_first, "pages of {limit}");
        }
    }

    async fn jobs_that_come_while_somebody_pages_shift_nothing(house: House) {
        house.leaves_jobs();
        for n in 0..6_u64 {
            house.post(&Webhook::customers_redact(ADA, &[n])).await;
        }
        let (first, more) = page(house.store(), &Filter::default(), 4).await.unwrap();
        assert!(more);
        house.post(&Webhook::shop_redact(ADA)).await;
        let filter = Filter { before: Some(first[3].id.clone()), ..Filter::default() };
        let (rest, more) = page(house.store(), &filter, 4).await.unwrap();
        assert_eq!((rest.len(), more), (2, false));
        assert!(rest.iter().all(|job| first.iter().all(|seen| seen.id != job.id)));
    }

    async fn filters_narrow_by_shop_type_and_status(house: House) {
        house.leaves_jobs();
        let done = house.post(&Webhook::customers_redact(BEA, &[1_u64])).await;
        house.work().await;
        let shop = house.post(&Webhook::shop_redact(ADA)).await;
        let customer = house.post(&Webhook::customers_redact(ADA, &[1_u64])).await;
        let request = house.post(&Webhook::data_request(ADA, &[1_u64])).await;
        let of_ada = Filter { shop_domain: Some(ADA.to_owned()), ..Filter::default() };
        assert_eq!(pages(&house, of_ada.clone(), 2).await, [request.clone(), customer.clone(), shop.clone()]);
        let types = vec![JobType::ShopRedact, JobType::DataRequest];
        assert_eq!(pages(&house, Filter { job_types: types, ..of_ada }, 1).await, [request, shop]);
        let completed = Filter { statuses: vec![JobStatus::Completed], ..Filter::default() };
        assert_eq!(pages(&house, completed, 5).await, [done]);
    }
}
