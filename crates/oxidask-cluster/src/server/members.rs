//! Clients and workers that come, go, stay away and come back.

use super::journal::{Entry, Journal, Record};
use super::sessions::{ClientSession, WorkerSession};
use super::state::{Member, State};
use crate::connect::{Address, Introduced};
use crate::coordination::Asker;
use crate::protocol::{Build, SessionHello, ToClient, ToWorker, WorkerIntro};
use crate::wire::Outlet;
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::{ClientId, Loss, SchedulerEvent, WorkerId};
use std::path::Path;
use std::time::{Duration, Instant};

impl State {
    /// Reads the journal in a folder, so that the state is as it was when it was
    /// last written, with all members away; then keeps it.
    ///
    /// # Errors
    /// If the journal cannot be used.
    pub fn restore(&mut self, folder: &Path, build: &Build) -> Result<()> {
        let journal = Journal::open(folder, build, |entry| self.replay(entry))?;
        self.clock_start = self.clock;
        self.journal = Some(journal);
        let now = Instant::now();
        for session in self.clients.values_mut() {
            session.away_since = Some(now);
        }
        for session in self.workers.values_mut() {
            session.heard = now;
        }
        Ok(())
    }

    fn replay(&mut self, entry: Entry) -> Result<()> {
        let Entry { now, record, packet } = entry;
        self.clock = now;
        match record {
            Record::ClientJoined { client, session } => {
                self.next_client = client;
                self.add_client(ClientId(client), session, Outlet::away());
            }
            Record::WorkerJoined { worker, session, intro } => {
                self.next_worker = worker;
                self.add_worker(WorkerId(worker), session, Outlet::away(), intro);
            }
            Record::FromClient(client) => {
                if let Some(session) = self.clients.get(&ClientId(client)) {
                    session.outlet.count_replayed();
                }
                // Who could not be understood was disconnected then, too.
                if self.take_client_packet(ClientId(client), packet).is_err() {
                    self.remove_client(ClientId(client));
                }
            }
            Record::FromWorker(worker) => {
                if let Some(session) = self.workers.get(&WorkerId(worker)) {
                    session.outlet.count_replayed();
                }
                if self.take_worker_packet(WorkerId(worker), packet).is_err() {
                    self.remove_worker(WorkerId(worker), Loss::Unreachable);
                }
            }
            Record::ClientGone(client) => self.remove_client(ClientId(client)),
            Record::Forfeit(client) => self.take_leases(ClientId(client)),
            Record::WorkerGone(worker, cause) => self.remove_worker(WorkerId(worker), cause.into()),
            Record::Retire(names) => self.dismiss(&names),
            Record::Taken(session, n_taken) => {
                if let Some(outlet) = self.members.get(&session).and_then(|&member| self.outlet(member)) {
                    // A number that was never sent would have ended the session.
                    let _ = outlet.acknowledged(n_taken);
                }
            }
            Record::Tick => self.time_passed(),
            Record::Snapshot(snapshot) => self.apply(*snapshot)?,
        }
        Ok(())
    }

    fn outlet(&self, member: Member) -> Option<&Outlet> {
        match member {
            Member::Client(client) => self.clients.get(&client).map(|session| &session.outlet),
            Member::Worker(worker) => self.workers.get(&worker).map(|session| &session.outlet),
        }
    }

    /// A client begins a session.
    pub fn client_joined(&mut self, client: ClientId, session: u128, outlet: Outlet) {
        self.begin(|| Record::ClientJoined { client: client.0, session }, None);
        self.add_client(client, session, outlet);
    }

    fn add_client(&mut self, client: ClientId, session: u128, outlet: Outlet) {
        self.members.insert(session, Member::Client(client));
        let mut session = ClientSession::new(session, outlet);
        for (id, worker) in &self.workers {
            session.outbox.push(joined(*id, &worker.intro));
        }
        session.flush();
        self.clients.insert(client, session);
    }

    /// A worker begins a session.
    pub fn worker_joined(&mut self, worker: WorkerId, session: u128, outlet: Outlet, intro: WorkerIntro) {
        // Its former life is over, even if nobody noticed yet.
        let is_former = |other: &WorkerSession| other.intro.name == intro.name && other.outlet.is_away();
        let former: Vec<WorkerId> =
            self.workers.iter().filter(|(_, other)| is_former(other)).map(|(&id, _)| id).collect();
        for former in former {
            self.worker_gone(former, Loss::Unreachable);
        }
        self.begin(|| Record::WorkerJoined { worker: worker.0, session, intro: intro.clone() }, None);
        self.add_worker(worker, session, outlet, intro);
    }

    fn add_worker(&mut self, worker: WorkerId, session: u128, outlet: Outlet, intro: WorkerIntro) {
        self.members.insert(session, Member::Worker(worker));
        for client in self.clients.values_mut() {
            client.outbox.push(joined(worker, &intro));
        }
        let mut session = WorkerSession::new(session, intro.clone(), outlet);
        for (id, other) in &mut self.workers {
            session.outbox.push(ToWorker::Joined { id: id.0, address: other.intro.address.clone() });
            other.outbox.push(ToWorker::Joined { id: worker.0, address: intro.address.clone() });
        }
        self.workers.insert(worker, session);
        self.tell_of_worker(worker, &intro);
        self.place_stranded();
        if self.dismissed.remove(&intro.name) {
            self.leave(worker);
        }
        self.carry_out();
    }

    /// A member is back over a new connection.
    ///
    /// # Errors
    /// If its session is not known (any more); the peer is to be refused.
    pub fn resume(&mut self, hello: SessionHello, introduced: &mut Introduced) -> Result<Member> {
        let member = self.members.get(&hello.id).copied().ok_or_else(|| {
            Error::new(ErrorKind::Lost, "the scheduler does not know this session any more")
                .with_hint("it was away for too long, or the scheduler was started again without a journal")
        })?;
        match member {
            Member::Client(client) => {
                if let Some(session) = self.clients.get_mut(&client) {
                    introduced.resume(&session.outlet, client.0)?;
                    session.away_since = None;
                }
            }
            Member::Worker(worker) => {
                if let Some(session) = self.workers.get_mut(&worker) {
                    introduced.resume(&session.outlet, worker.0)?;
                    session.heard = Instant::now();
                }
            }
        }
        Ok(member)
    }

    /// A member's connection ended. Answers where to look whether a worker is
    /// still there.
    pub fn disconnected(&mut self, member: Member) -> Option<(WorkerId, String)> {
        let is_over = self.outlet(member).is_none_or(Outlet::is_closed);
        match member {
            Member::Client(client) => {
                if is_over {
                    self.client_gone(client);
                } else if let Some(session) = self.clients.get_mut(&client)
                    && session.outlet.is_away()
                {
                    session.away_since = Some(Instant::now());
                }
                None
            }
            Member::Worker(worker) => {
                if is_over {
                    self.worker_gone(worker, Loss::Unreachable);
                    return None;
                }
                let session = self.workers.get(&worker)?;
                session.outlet.is_away().then(|| (worker, session.intro.address.clone()))
            }
        }
    }

    /// Ends a member's session: it says what cannot be understood.
    pub fn expel(&mut self, member: Member) {
        match member {
            Member::Client(client) => self.client_gone(client),
            Member::Worker(worker) => self.worker_gone(worker, Loss::Unreachable),
        }
    }

    /// Nobody listens any more where a worker did: it is gone, if it has not come
    /// back meanwhile.
    pub fn nobody_there(&mut self, worker: WorkerId) {
        if self.workers.get(&worker).is_some_and(|session| session.outlet.is_away()) {
            self.worker_gone(worker, Loss::Unreachable);
        }
    }

    /// Workers that are away, and where they listened.
    pub fn away_workers(&self) -> Vec<(WorkerId, Address)> {
        let away = self.workers.iter().filter(|(_, session)| session.outlet.is_away());
        away.filter_map(|(&id, session)| Some((id, session.intro.address.parse().ok()?))).collect()
    }

    /// A client is gone for good.
    pub fn client_gone(&mut self, client: ClientId) {
        if self.clients.contains_key(&client) {
            self.begin(|| Record::ClientGone(client.0), None);
            self.remove_client(client);
        }
    }

    pub(super) fn remove_client(&mut self, client: ClientId) {
        let Some(session) = self.clients.remove(&client) else { return };
        session.outlet.close();
        self.members.remove(&session.session);
        let now = self.now();
        self.coordination.client_gone(Asker(client.0));
        self.coordinate();
        self.coordinator.handle(now, SchedulerEvent::ClientGone(client));
        // What only it could have brought is lost.
        self.place_stranded();
        self.carry_out();
    }

    /// What a client that is away has locked is free again.
    fn take_leases(&mut self, client: ClientId) {
        self.coordination.forfeit(Asker(client.0));
        self.coordinate();
        self.carry_out();
    }

    /// A worker is gone for good; should it come back, it is a stranger.
    pub fn worker_gone(&mut self, worker: WorkerId, cause: Loss) {
        if self.workers.contains_key(&worker) {
            self.begin(|| Record::WorkerGone(worker.0, cause.into()), None);
            self.remove_worker(worker, cause);
        }
    }

    fn remove_worker(&mut self, worker: WorkerId, cause: Loss) {
        let Some(session) = self.workers.remove(&worker) else { return };
        session.outlet.close();
        self.members.remove(&session.session);
        for client in self.clients.values_mut() {
            client.outbox.push(ToClient::Left(worker.0));
        }
        for other in self.workers.values_mut() {
            other.outbox.push(ToWorker::Left(worker.0));
        }
        let cause = if session.is_leaving { Loss::Planned } else { cause };
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::WorkerLost { worker, cause });
        self.replace_unconfirmed(now, worker);
        self.answer_retired();
        self.carry_out();
    }

    /// Asks workers, by name, to leave; who is not there yet, as soon as it comes.
    pub fn retire(&mut self, names: &[String]) {
        self.begin(|| Record::Retire(names.to_vec()), None);
        self.dismiss(names);
    }

    fn dismiss(&mut self, names: &[String]) {
        self.send_away(names);
        let is_there = |name: &String| self.workers.values().any(|worker| worker.intro.name == *name);
        let absent: Vec<String> = names.iter().filter(|name| !is_there(name)).cloned().collect();
        self.dismissed.extend(absent);
    }

    pub(super) fn send_away(&mut self, names: &[String]) -> Vec<WorkerId> {
        let leaving: Vec<WorkerId> = self
            .workers
            .iter_mut()
            .filter(|(_, worker)| names.contains(&worker.intro.name) || names.contains(&worker.intro.address))
            .map(|(&id, worker)| {
                worker.is_leaving = true;
                id
            })
            .collect();
        let now = self.now();
        for &worker in &leaving {
            self.coordinator.handle(now, SchedulerEvent::Retire(worker));
        }
        self.carry_out();
        leaving
    }

    /// A worker wants to leave.
    pub(super) fn leave(&mut self, worker: WorkerId) {
        let Some(session) = self.workers.get_mut(&worker) else { return };
        session.is_leaving = true;
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::Retire(worker));
    }

    /// The process of the worker of this name has died.
    pub fn died(&mut self, name: &str, cause: Loss) {
        let known = self.workers.iter().find(|(_, session)| session.intro.name == name).map(|(&id, _)| id);
        if let Some(worker) = known {
            self.worker_gone(worker, cause);
        }
    }

    /// Gives up members that were silent or away for too long and tells the core
    /// the time; whether a worker was given up.
    pub fn tick(&mut self) -> bool {
        let silent: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.heard.elapsed() > self.worker_timeout)
            .map(|(&id, _)| id)
            .collect();
        for &worker in &silent {
            self.worker_gone(worker, Loss::Unreachable);
        }
        let away: Vec<(ClientId, Duration)> =
            self.clients.iter().filter_map(|(&id, session)| Some((id, session.away_since?.elapsed()))).collect();
        for (client, away_for) in away {
            if away_for > self.client_grace {
                self.client_gone(client);
            } else if away_for > self.lease_timeout && self.coordination.has_leases(Asker(client.0)) {
                self.begin(|| Record::Forfeit(client.0), None);
                self.take_leases(client);
            }
        }
        self.note_taken();
        // Without tasks time changes nothing, and the journal need not grow.
        if self.coordinator.n_tasks() > 0 {
            self.last_busy = Instant::now();
            self.begin(|| Record::Tick, None);
            self.time_passed();
        }
        self.compact_journal();
        !silent.is_empty()
    }

    fn time_passed(&mut self) {
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::Tick);
        self.keep_stranded();
        self.carry_out();
    }

    /// Writes down what members acknowledged since, so that it is not kept for
    /// them when the journal is read.
    fn note_taken(&mut self) {
        if self.journal.is_none() {
            return;
        }
        let clients = self.clients.values_mut().map(|session| (session.session, &session.outlet, &mut session.n_noted));
        let workers = self.workers.values_mut().map(|session| (session.session, &session.outlet, &mut session.n_noted));
        let mut news = Vec::new();
        for (session, outlet, n_noted) in clients.chain(workers) {
            let n_taken = outlet.n_acknowledged();
            if n_taken > *n_noted {
                *n_noted = n_taken;
                news.push((session, n_taken));
            }
        }
        for (session, n_taken) in news {
            self.begin(|| Record::Taken(session, n_taken), None);
        }
    }

    /// Ends all connections. Members are told that the cluster ends, unless a
    /// journal keeps it and nobody asked it to end: then they wait for the
    /// scheduler's next life.
    pub fn close_all(&mut self) {
        let goes_on = self.journal.is_some() && !self.is_shut_down();
        for worker in self.workers.values_mut() {
            if !goes_on {
                worker.outbox.push(ToWorker::Close);
                worker.flush();
            }
            worker.outlet.close();
        }
        for client in self.clients.values_mut() {
            if !goes_on {
                client.outbox.push(ToClient::Closed);
                client.flush();
            }
            client.outlet.close();
        }
        if let Some(journal) = self.journal.take()
            && !goes_on
        {
            journal.delete();
        }
    }
}

fn joined(worker: WorkerId, intro: &WorkerIntro) -> ToClient {
    ToClient::Joined { id: worker.0, intro: intro.clone() }
}

/// What users may call a worker by its address: with and without the protocol, and
/// by its host, which other workers share.
pub(super) fn aliases(address: &str) -> impl Iterator<Item = &str> {
    let place = address.split_once("://").map(|(_, place)| place);
    let host = place.and_then(|place| place.rsplit_once(':')).map(|(host, _)| host.trim_matches(['[', ']']));
    std::iter::once(address).chain(place).chain(host.filter(|host| !host.is_empty()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_worker_is_called_by_its_address_and_host() {
        let all = |address| super::aliases(address).collect::<Vec<_>>();
        assert_eq!(all("tcp://10.0.0.1:80"), ["tcp://10.0.0.1:80", "10.0.0.1:80", "10.0.0.1"]);
        assert_eq!(all("tls://[::1]:80"), ["tls://[::1]:80", "[::1]:80", "::1"]);
        assert_eq!(all("unix:///tmp/a"), ["unix:///tmp/a", "/tmp/a"]);
    }
}
