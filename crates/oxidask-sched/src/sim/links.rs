//! Requests for pieces, between workers and from clients.

use super::node::Stored;
use super::world::{End, Happening, Request, Requester, World};
use crate::event::{Piece, WorkerEvent, WorkerId};

impl World {
    pub fn new_request(&mut self, requester: Requester, piece: Piece) -> u32 {
        self.n_requests += 1;
        let generation = self.generations[piece.task.0 as usize];
        self.requests.insert(self.n_requests, Request { requester, piece, generation, asked: None });
        self.n_requests
    }

    /// Sends a request to a worker, which may be dead.
    pub fn ask(&mut self, request: u32, holder: WorkerId) {
        let asked = holder.0 as usize;
        let record = self.requests.get_mut(&request).expect("it was just made");
        record.asked = Some(asked);
        let from = match record.requester {
            Requester::Node { node, .. } => End::Node(node),
            Requester::Client { client, .. } => End::Client(client),
        };
        if self.nodes[asked].alive {
            self.send(from, End::Node(asked), Happening::Asked { node: asked, request });
        } else {
            self.later(1, 1_000_000, Happening::Answered { request, value: None });
        }
    }

    pub fn reply(&mut self, node: usize, request: u32, value: Option<(u64, u64)>) {
        let Some(record) = self.requests.get(&request) else { return };
        let to = match record.requester {
            Requester::Node { node, .. } => End::Node(node),
            Requester::Client { client, .. } => End::Client(client),
        };
        self.send(End::Node(node), to, Happening::Answered { request, value });
    }

    pub fn answered(&mut self, request: u32, value: Option<(u64, u64)>) {
        // A second answer is the news of the death of who answered.
        let Some(record) = self.requests.remove(&request) else { return };
        let piece = record.piece;
        match record.requester {
            Requester::Node { node, holder } => match value {
                Some((value, bytes)) => {
                    if self.nodes[node].alive {
                        let stored = Stored { value, bytes, in_memory: true, on_disk: false };
                        self.nodes[node].store.entry(piece).or_insert(stored);
                        self.tell_node(node, WorkerEvent::Arrived { piece, bytes });
                    }
                }
                None => self.tell_node(node, WorkerEvent::FetchFailed { piece, holder }),
            },
            Requester::Client { client, logical } => {
                if self.generations[piece.task.0 as usize] == record.generation {
                    self.client_reads(client, logical, value.map(|(value, _)| value));
                }
            }
        }
    }
}
