//! Topics: the newest events, and who is told of new ones.

use super::{Asker, Effect, Item, TopicEvent, check_names};
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Most events that are kept of a topic.
const EVENTS_MAX: usize = 10_000;
/// Most bytes of events that are kept of a topic.
const EVENT_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Topic {
    events: VecDeque<(f64, Item)>,
    bytes: usize,
    subscribers: Vec<Asker>,
}

/// Topics by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Topics(BTreeMap<String, Topic>);

impl Topics {
    pub fn log(&mut self, topics: Vec<String>, item: &Item, time: f64, effects: &mut Vec<Effect>) -> Result<()> {
        if !item.keys.is_empty() {
            return Err(Error::type_("an event cannot hold futures").with_hint("put them into a queue or a variable"));
        }
        for name in topics {
            if !self.0.contains_key(&name) {
                check_names(self.0.len(), "topics")?;
            }
            let topic = self.0.entry(name.clone()).or_default();
            topic.bytes += item.body.len();
            topic.events.push_back((time, item.clone()));
            while topic.events.len() > EVENTS_MAX || topic.bytes > EVENT_BYTES_MAX {
                let Some((_, old)) = topic.events.pop_front() else { break };
                topic.bytes -= old.body.len();
            }
            let event = TopicEvent { topic: name, time, item: item.clone() };
            effects.extend(topic.subscribers.iter().map(|&client| Effect::Event(client, event.clone())));
        }
        Ok(())
    }

    pub fn events(&self, topic: Option<&str>) -> Vec<TopicEvent> {
        let chosen = self.0.iter().filter(|(name, _)| topic.is_none_or(|topic| topic == name.as_str()));
        chosen
            .flat_map(|(name, topic)| {
                let event =
                    |(time, item): &(f64, Item)| TopicEvent { topic: name.clone(), time: *time, item: item.clone() };
                topic.events.iter().map(event)
            })
            .collect()
    }

    pub fn subscribe(&mut self, client: Asker, name: String, on: bool) -> bool {
        if !on {
            let Some(topic) = self.0.get_mut(&name) else { return false };
            let position = topic.subscribers.iter().position(|&other| other == client);
            return position.map(|position| topic.subscribers.remove(position)).is_some();
        }
        let topic = self.0.entry(name).or_default();
        let is_new = !topic.subscribers.contains(&client);
        if is_new {
            topic.subscribers.push(client);
        }
        is_new
    }

    pub fn client_gone(&mut self, client: Asker) {
        self.0.values_mut().for_each(|topic| topic.subscribers.retain(|&other| other != client));
    }
}
