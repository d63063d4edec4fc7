//! Makes a failing case smaller: everything that can be left out is left out, one thing at a time.

use super::schema::{Action, Case, Table};

/// Cases with one thing less, the largest things first. Whether they can be done is for the caller to ask.
pub fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut try_out = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        found.push(smaller);
    };
    for place in 0..case.jobs.len() {
        try_out(&|case| {
            case.jobs.remove(place);
        });
    }
    for place in 0..case.tables.len() {
        if !case.tables[place].gone && !is_referred_to(case, place) {
            try_out(&|case| case.tables[place].gone = true);
        }
    }
    if case.stores.len() > 1 && case.tables.iter().all(|table| table.gone || table.store < case.stores.len() - 1) {
        try_out(&|case| {
            case.stores.pop();
        });
    }
    for place in 0..case.tables.len() {
        let rows = case.tables[place].rows.len();
        if rows > 1 {
            try_out(&|case| case.tables[place].rows.truncate(rows / 2));
            try_out(&|case| {
                case.tables[place].rows.drain(..rows / 2);
            });
        }
        for row in 0..rows {
            try_out(&|case| {
                case.tables[place].rows.remove(row);
            });
        }
    }
    try_out(&|case| case.together = false);
    try_out(&|case| case.small_steps = false);
    for (place, job) in case.jobs.iter().enumerate() {
        for order in 0..job.orders.len() {
            try_out(&|case| {
                case.jobs[place].orders.remove(order);
            });
        }
        try_out(&|case| case.jobs[place].email = None);
        try_out(&|case| case.jobs[place].phone = None);
        try_out(&|case| case.jobs[place].customer = None);
    }
    for (place, table) in case.tables.iter().enumerate().filter(|(_, table)| !table.gone) {
        for foreign in 0..table.foreign.len() {
            try_out(&|case| {
                case.tables[place].foreign.remove(foreign);
            });
        }
        try_out(&|case| case.tables[place].partitioned = false);
        for column in 0..table.columns.len() {
            if !table.columns[column].gone && !is_used(case, place, column) {
                try_out(&|case| case.tables[place].columns[column].gone = true);
            }
        }
        let Some(map) = &table.map else { continue };
        let mut change = |change: &dyn Fn(&mut super::schema::Mapped)| {
            try_out(&|case| change(case.tables[place].map.as_mut().unwrap()));
        };
        for way in 0..map.ways.len() {
            change(&|map| {
                map.ways.remove(way);
            });
        }
        for mask in 0..map.masks.len() {
            change(&|map| {
                map.masks.remove(mask);
            });
        }
        change(&|map| map.customers = Action::Keep);
        change(&|map| map.whole = Action::Keep);
        change(&|map| map.export.clear());
        change(&|map| map.excluded.clear());
        change(&|map| map.order = None);
        change(&|map| {
            map.via.pop();
        });
    }
    found.retain(is_whole);
    found
}

fn is_referred_to(case: &Case, place: usize) -> bool {
    let refers = |table: &Table| {
        table.foreign.iter().any(|foreign| foreign.to == place)
            || table.map.iter().any(|map| map.via.iter().any(|hop| hop.to == place))
    };
    case.stores.iter().any(|store| store.shops.as_ref().is_some_and(|shops| shops.table == place))
        || case.tables.iter().any(|table| !table.gone && refers(table))
}

fn is_used(case: &Case, place: usize, column: usize) -> bool {
    let table = &case.tables[place];
    let shops = case.stores[table.store].shops.as_ref().filter(|shops| shops.table == place);
    let of_shops = shops.is_some_and(|s| {
        [s.id, s.domain].contains(&column)
            || s.number == Some(column)
            || s.life.is_some_and(|life| life.contains(&column))
    });
    let of_table = table.key.contains(&column)
        || table.foreign.iter().any(|foreign| foreign.column == column)
        || table.map.iter().any(|map| {
            map.export.contains(&column)
                || map.excluded.contains(&column)
                || map.masks.iter().any(|mask| mask.column == column)
        });
    let from_elsewhere = case.tables.iter().enumerate().filter(|(_, table)| !table.gone).any(|(other, table)| {
        table.foreign.iter().any(|foreign| foreign.to == place && foreign.key == column)
            || table.map.iter().any(|map| {
                let at = |at: usize| case.table_at(other, at) == place;
                let mut from = other;
                let by_hop = map.via.iter().any(|hop| {
                    let here = (from == place && hop.column == column) || (hop.to == place && hop.key == column);
                    from = hop.to;
                    here
                });
                by_hop
                    || (map.shop.column == column && at(map.shop.at))
                    || map.ways.iter().any(|way| way.column == column && at(way.at))
            })
    });
    of_shops || of_table || from_elsewhere
}

/// Whether the map still says all that it must.
fn is_whole(case: &Case) -> bool {
    !case.jobs.is_empty()
        && case.jobs.iter().all(|job| {
            let nobody = job.customer.is_none() && job.email.is_none() && job.phone.is_none() && job.orders.is_empty();
            job.topic == super::schema::Topic::ShopRedact || !nobody
        })
        && case.mapped().all(|(_, _, map)| {
            let hops = map.ways.iter().map(|way| way.at).chain([map.shop.at]).max().unwrap();
            hops <= map.via.len()
                && (map.customers == Action::Keep || !map.ways.is_empty())
                && (map.export.is_empty() || !map.ways.is_empty())
                && ([map.customers, map.whole].contains(&Action::Mask) != map.masks.is_empty())
        })
}
