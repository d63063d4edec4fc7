//! Webhooks of one topic travel together in one sealed message, and come out as they went in.

use std::collections::HashMap;

use efface::acceptance::carrier::Carrier;
use efface::acceptance::receiver::Receiver;
use efface::broker::{Disposition, Incoming, Outgoing};
use efface::webhook::Secrets;

use crate::house::{House, SECRET, Webhook};

const SHOP: &str = "ada.example.com";

fn receiver(house: &House, carrier: &Carrier, batch_max: usize) -> Receiver {
    let secrets = Secrets::new(vec![SECRET.to_owned()]);
    Receiver::new(carrier.clone(), house.app().intake().clone(), secrets, house.clock.clone(), batch_max)
}

fn delivered(packed: Outgoing) -> Incoming {
    Incoming {
        content_type: Some(packed.content_type.to_owned()),
        routing_key: packed.routing_key,
        headers: HashMap::new(),
        body: packed.body,
        message_id: Some(packed.message_id),
        redelivered: false,
    }
}

fn webhooks(count: u64) -> Vec<Webhook> {
    (0..count).map(|n| Webhook::customers_redact(SHOP, &[1_000 + n])).collect()
}

both_databases! {
    async fn webhooks_of_one_message_come_out_whole_and_in_order(house: House) {
        let carrier = Carrier::new(house.app().keys().clone());
        let sent = webhooks(5);
        let arrivals: Vec<_> = sent.iter().map(|webhook| house.arrival(webhook)).collect();
        let packed = carrier.pack(&arrivals).await.unwrap();
        let unpacked = carrier.unpack(Some(&packed.message_id), &packed.body).await.unwrap();
        assert_eq!(unpacked.unreadable, None);
        let told = |arrival: &efface::intake::Arrival| {
            let delivery = &arrival.delivery;
            (delivery.webhook_id.clone(), delivery.event_id.clone(), delivery.topic, delivery.body.expose().clone(), arrival.received_at)
        };
        assert_eq!(unpacked.arrivals.iter().map(told).collect::<Vec<_>>(), arrivals.iter().map(told).collect::<Vec<_>>());
    }

    async fn each_becomes_a_job_however_few_share_a_transaction(house: House) {
        let carrier = Carrier::new(house.app().keys().clone());
        let arrivals: Vec<_> = webhooks(7).iter().map(|webhook| house.arrival(webhook)).collect();
        let message = delivered(carrier.pack(&arrivals).await.unwrap());
        for batch_max in [2, 256] {
            // The second time as after a crash before the acknowledgement.
            let settled = receiver(&house, &carrier, batch_max).receive(vec![message.clone()]).await.unwrap();
            assert!(matches!(settled[..], [Disposition::Done]));
            assert_eq!(house.jobs().await.len(), 7);
        }
        house.leaves_jobs();
    }

    async fn one_that_nobody_can_read_is_parked_and_costs_its_neighbours_nothing(house: House) {
        let carrier = Carrier::new(house.app().keys().clone());
        let mut arrivals: Vec<_> = webhooks(3).iter().map(|webhook| house.arrival(webhook)).collect();
        arrivals[1].delivery.provider = "nobody";
        let message = delivered(carrier.pack(&arrivals).await.unwrap());
        let settled = receiver(&house, &carrier, 256).receive(vec![message]).await.unwrap();
        assert!(matches!(settled[..], [Disposition::Park { reason: "unknown_provider", .. }]), "{settled:?}");
        assert_eq!(house.jobs().await.len(), 2);
        house.leaves_jobs();
    }

    async fn a_message_cut_short_or_empty_inside_is_parked(house: House) {
        let carrier = Carrier::new(house.app().keys().clone());
        let nothing = delivered(carrier.pack(&[]).await.unwrap());
        let settled = receiver(&house, &carrier, 256).receive(vec![nothing]).await.unwrap();
        assert!(matches!(settled[..], [Disposition::Park { reason: "bad_frame", .. }]), "{settled:?}");
    }
}
