//! A new key-encryption key in the place of the current one, which stays to open what it has wrapped.

use zeroize::Zeroizing;

use super::{KEY_LEN, Key, Keyring};

impl Keyring {
    /// Adds a fresh key-encryption key, with which everything new is wrapped from here on; returns its id, `kek-2` after
    /// `kek-1`. `created_at` goes into the file.
    pub fn rotate_encryption(&mut self, created_at: String) -> &str {
        // Of so many and one more, one is free.
        let numbers = (1..=self.kek.all.len() + 1).rev();
        let free = numbers.map(|n| format!("kek-{n}")).find(|id| self.kek.find(id).is_none());
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rand::fill(secret.as_mut_slice());
        self.kek.current = self.kek.all.len();
        self.kek.all.push(Key { id: free.unwrap_or_default(), secret, created_at: Some(created_at) });
        &self.kek.current().id
    }

    /// The id of the key-encryption key that everything new is wrapped with.
    pub fn encryption_key_id(&self) -> &str {
        &self.kek.current().id
    }
}
