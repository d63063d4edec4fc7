//! From where a request came, for every entry that is appended while it is answered, so that no handler passes it on.

use std::cell::Cell;
use std::net::IpAddr;

tokio::task_local! {
    static CALLER: Caller;
}

#[derive(Debug)]
struct Caller {
    /// Masked.
    address: Option<String>,
    appended: Cell<usize>,
}

/// Runs `work` for a caller at that address; returns what it made, and how many entries it appended.
pub async fn of<T>(address: Option<IpAddr>, work: impl Future<Output = T>) -> (T, usize) {
    let caller = Caller { address: address.map(masked), appended: Cell::new(0) };
    let counted = async {
        let made = work.await;
        (made, CALLER.with(|caller| caller.appended.get()))
    };
    CALLER.scope(caller, counted).await
}

/// The masked address of the caller that this task works for.
pub(super) fn address() -> Option<String> {
    CALLER.try_with(|caller| caller.address.clone()).ok().flatten()
}

pub(super) fn count(entries: usize) {
    let _ = CALLER.try_with(|caller| caller.appended.set(caller.appended.get() + entries));
}

/// The network of an address: its first 24 bits, or 48 of IPv6. Enough to tell offices apart, not people.
pub fn masked(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_to_its_network() {
        for (address, network) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:abcd:12::1", "2001:db8:abcd::/48"),
        ] {
            assert_eq!(masked(address.parse().unwrap()), network);
        }
    }

    #[tokio::test]
    async fn entries_are_counted_for_their_own_caller_only() {
        let work = async {
            count(2);
            address()
        };
        let (seen, appended) = of(Some("198.51.100.9".parse().unwrap()), work).await;
        assert_eq!((seen.as_deref(), appended), (Some("198.51.100.0/24"), 2));
        count(1);
        assert_eq!(address(), None);
    }
}
