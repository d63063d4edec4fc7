//! Sees to it that the steps of a large shop end.

use crate::store::StoreError;

/// Whether a shop's rows become fewer while they are erased. They are counted with the steps 2, 4, 8…, so that counting costs
/// little beside the steps themselves.
#[derive(Debug, Default)]
pub(super) struct Dwindling {
    steps: u64,
    left: Option<u64>,
}

impl Dwindling {
    /// Whether the coming step is to count the rows that it leaves.
    pub fn asks(&self) -> bool {
        self.steps > 0 && (self.steps + 1).is_power_of_two()
    }

    /// Notes a step that is committed and left rows, with their number when it was asked for.
    ///
    /// # Errors
    /// [`StoreError::ComeBack`] when they are no fewer than at the last count: the steps would go on for ever.
    pub fn step(&mut self, left: Option<u64>) -> Result<(), StoreError> {
        self.steps += 1;
        let Some(left) = left else { return Ok(()) };
        if self.left.replace(left).is_some_and(|before| left >= before) {
            return Err(StoreError::ComeBack("of a shop ".to_owned()));
        }
        Ok(())
    }
}
