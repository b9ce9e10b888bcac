//! What the drivers at both ends do with the steps of their machines.

use medrelay_core::transfer::gateway::{self, PackInfo};
use medrelay_core::transfer::message::{Message, StreamHeader};
use medrelay_core::transfer::{Urgency, limits, relay};

use super::{Name, RelaySide, Stream, World};
use crate::sample::uuid;

impl World {
    pub(super) fn at_gateway(&mut self, steps: Vec<gateway::Step>) {
        use gateway::Step;
        for step in steps {
            match step {
                Step::Send(message) => self.connection.up.push_back(message),
                Step::Prove { .. } => {
                    let steps = self.connection.gateway.proof(vec![1], vec![2]);
                    self.at_gateway(steps);
                }
                Step::Prepare { key, index } => {
                    assert!(!self.connection.packs.contains_key(&(key, index)), "packed twice");
                    self.connection.making.push((key, index));
                    let original = self.original(key, index);
                    self.connection.packs.insert((key, index), original);
                    let slack = if self.raised { 16 << 20 } else { 0 };
                    let ahead: u64 = self.connection.packs.values().sum();
                    assert!(ahead <= limits::AHEAD_BYTES + slack, "{ahead} bytes are ahead");
                }
                Step::Transmit { key, study, index, offset, pack, urgency } => {
                    self.transmit((key, index), study, offset, pack, urgency);
                }
                Step::Urgency { key, index, .. } => {
                    let of = |s: &Stream| s.gateway_waits && s.name == (key, index);
                    assert!(self.connection.streams.iter().any(of), "the priority of nothing");
                }
                Step::Drop { key, index } => {
                    let name = (key, index);
                    assert!(
                        self.connection.packs.remove(&name).is_some()
                            || !self.pending.contains_key(&key)
                    );
                    let of = |s: &Stream| s.gateway_waits && s.name == name;
                    if let Some(at) = self.connection.streams.iter().position(of) {
                        self.abandon(at);
                    }
                }
                Step::Stored { key, index, outcome } => {
                    assert_eq!(self.stored.get(&(key, index)), Some(&outcome), "told too early");
                }
                Step::Refused { key, code, .. } => {
                    assert!(!code.passes());
                    self.pending.remove(&key);
                    self.given_up.insert(key);
                }
                Step::Committed { key, .. } => {
                    assert!(self.signed.contains(&key));
                    assert!(self.pending.remove(&key).is_some(), "committed twice");
                    self.committed.insert(key);
                }
                Step::Item(item) => self.connection.items.push(item),
                Step::Welcomed(_) | Step::Known { .. } => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn transmit(&mut self, name: Name, study: u32, offset: u64, pack: PackInfo, urgency: Urgency) {
        let running = self.running();
        let most = [16, 15, 14][usize::from(urgency.code())];
        assert!(running < most, "{running} streams, and one more of {urgency:?}");
        assert!(self.connection.packs.contains_key(&name), "a pack that was given up");
        self.allowed.entry(name).or_insert(pack.bytes);
        let header = StreamHeader::Instance {
            study,
            index: name.1,
            offset,
            pack_bytes: pack.bytes,
            pack: pack.sha256,
        };
        self.connection.streams.push(Stream {
            name,
            study,
            header,
            pack,
            began: offset,
            at: offset,
            gateway_waits: true,
            relay: RelaySide::Unseen,
        });
    }

    pub(super) fn at_relay(&mut self, steps: Vec<relay::Step>) {
        use relay::Step;
        for step in steps {
            match step {
                Step::Send(Message::Item(item)) => {
                    assert!(self.connection.items_seen.insert(item.id.clone()), "an item twice");
                    self.connection.down.push_back(Message::Item(item));
                }
                Step::Send(message) => self.connection.down.push_back(message),
                Step::Prove { .. } => self.connection.proving = true,
                Step::Register { study, manifest, .. } => {
                    let key = (0..1_000).find(|n| uuid(1_000 + n) == manifest.id);
                    self.connection.numbers.insert(study, key.expect("a study of this world"));
                    self.connection.registering.push(study);
                }
                Step::Commit { study } => {
                    let key = self.connection.numbers[&study];
                    let (there, all) = self.connection.relay.progress(study).expect("it is open");
                    assert_eq!(there, all);
                    let stored = self.stored.range((key, 0)..=(key, u32::MAX)).count();
                    assert_eq!(stored, all as usize, "something is missing");
                    self.connection.committing.push(study);
                }
                Step::Withdrawn { study } => {
                    self.connection.registering.retain(|other| *other != study);
                }
                Step::Received { item } => {
                    self.items_delivered.insert(item);
                }
                Step::Urgency { .. } => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }
}
