//! Items with a name.

use super::{Asker, Effect, Item, Space, Told, Waiter, check_names, remove};
use oxidask_core::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

type Name = (Space, String);

/// Items by name, and who waits for names that are not there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Items {
    items: BTreeMap<Name, Item>,
    waiting: BTreeMap<Name, Vec<Waiter>>,
    /// Names that were set while somebody waited for them.
    fresh: Vec<Name>,
}

impl Items {
    pub fn set(&mut self, name: Name, item: Item, replace: bool, effects: &mut Vec<Effect>) -> Result<bool> {
        let old = self.items.get_mut(&name);
        if old.is_some() && !replace {
            return Ok(false);
        }
        match old {
            Some(old) => {
                effects.push(Effect::Hold(item.keys.clone()));
                effects.push(Effect::Drop(std::mem::replace(old, item).keys));
            }
            None => {
                check_names(self.items.len(), "names")?;
                effects.push(Effect::Hold(item.keys.clone()));
                if self.waiting.contains_key(&name) {
                    self.fresh.push(name.clone());
                }
                self.items.insert(name, item);
            }
        }
        Ok(true)
    }

    /// The item, unless it has to be waited for.
    pub fn get(&mut self, waiter: Waiter, name: Name, wait: bool) -> Option<Option<Item>> {
        let found = self.items.get(&name).cloned();
        if found.is_some() || !wait {
            return Some(found);
        }
        self.waiting.entry(name).or_default().push(waiter);
        None
    }

    pub fn delete(&mut self, name: &Name, effects: &mut Vec<Effect>) -> bool {
        let removed = self.items.remove(name);
        let existed = removed.is_some();
        effects.extend(removed.map(|item| Effect::Drop(item.keys)));
        existed
    }

    pub fn list(&self, space: Space) -> Vec<String> {
        let names = self.items.range((space, String::new())..);
        names.map(|(name, _)| name).take_while(|name| name.0 == space).map(|name| name.1.clone()).collect()
    }

    pub fn withdraw(&mut self, waiter: Waiter) -> bool {
        let waited = self.waiting.values_mut().any(|waiters| remove(waiters, waiter));
        self.waiting.retain(|_, waiters| !waiters.is_empty());
        waited
    }

    pub fn client_gone(&mut self, client: Asker) {
        self.waiting.retain(|_, waiters| {
            waiters.retain(|waiter| waiter.0 != client);
            !waiters.is_empty()
        });
    }

    pub fn pass_on(&mut self, due: &mut Vec<(Waiter, Told)>) {
        for name in self.fresh.drain(..) {
            let Some(item) = self.items.get(&name) else { continue };
            let waiters = self.waiting.remove(&name).unwrap_or_default();
            due.extend(waiters.into_iter().map(|waiter| (waiter, Told::Item(Some(item.clone())))));
        }
    }
}
