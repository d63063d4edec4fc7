//! Sees to it that the steps of a large shop end.

use crate::store::StoreError;

/// Whether a shop's rows become fewer while they are erased. They are counted after 2, 4, 8… steps, so that counting costs
/// little beside the steps themselves.
#[derive(Debug, Default)]
pub(super) struct Dwindling {
    steps: u64,
    left: Option<u64>,
}

impl Dwindling {
    /// Notes a step that left rows. True when it is time to count them.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        self.steps > 1 && self.steps.is_power_of_two()
    }

    /// Notes how many rows are left.
    ///
    /// # Errors
    /// [`StoreError::ComeBack`] when they are no fewer than at the last count: the steps would go on for ever.
    pub fn counted(&mut self, left: u64) -> Result<(), StoreError> {
        if self.left.replace(left).is_some_and(|before| left >= before) {
            return Err(StoreError::ComeBack("of a shop ".to_owned()));
        }
        Ok(())
    }
}
