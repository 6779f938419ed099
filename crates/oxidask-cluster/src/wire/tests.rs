use super::*;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;

fn pair() -> (Arc<Stream>, Arc<Stream>) {
    let (a, b) = UnixStream::pair().unwrap();
    (Arc::new(Stream::unix(a).unwrap()), Arc::new(Stream::unix(b).unwrap()))
}

fn packet(head: &[u8], buffers: &[usize]) -> Packet {
    let buffers = buffers.iter().enumerate().map(|(idx, &length)| vec![idx as u8; length].into()).collect();
    Packet { head: Bytes::copy_from_slice(head), buffers }
}

#[tokio::test]
async fn packets_arrive_as_sent() {
    let (a, b) = pair();
    let outlet = Outlet::new(a);
    let mut inlet = Inlet::new(b, Limits::TRUSTED);
    let packets = [
        packet(b"", &[]),
        packet(b"small", &[0, 1, 5000]),
        packet(&vec![9; 200_000], &[3 << 20, 17, 4096, 4097]),
        packet(b"many", &vec![10; 1000]),
    ];
    for packet in &packets {
        outlet.send(packet.clone());
    }
    for packet in &packets {
        assert_eq!(&inlet.next().await.unwrap(), packet);
    }
    outlet.close();
    assert_eq!(inlet.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_peer_that_reads_late_gets_everything_in_order() {
    let (a, b) = pair();
    let outlet = Outlet::new(a);
    for number in 0..200_u32 {
        outlet.send(packet(&number.to_le_bytes(), &[100_000]));
    }
    let mut inlet = Inlet::new(b, Limits::TRUSTED);
    for number in 0..200_u32 {
        let packet = inlet.next().await.unwrap();
        assert_eq!(packet.head[..], number.to_le_bytes());
        assert_eq!(packet.buffers[0].len(), 100_000);
    }
    outlet.drained().await;
}

#[tokio::test]
async fn packets_beyond_the_limits_are_refused_before_they_are_read() {
    for (head, buffers) in [(u32::MAX, 0), (0, u32::MAX), (1 << 21, 0)] {
        let (a, b) = pair();
        let mut prefix = Vec::new();
        prefix.extend_from_slice(&u32::to_le_bytes(head));
        prefix.extend_from_slice(&u32::to_le_bytes(buffers));
        a.write_all(&prefix).await.unwrap();
        let error = Inlet::new(b, Limits::HELLO).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// Whether bytes lie in memory that is shared with another process.
fn is_shared(bytes: &Bytes) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let address = bytes.as_ptr() as usize;
    maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let start = usize::from_str_radix(start, 16).unwrap();
        let end = usize::from_str_radix(end, 16).unwrap();
        rest.contains("memfd:oxidask") && (start..end).contains(&address)
    })
}

#[tokio::test]
async fn large_buffers_are_handed_over_and_passed_on_in_shared_memory() {
    let (a, b) = pair();
    let (c, d) = pair();
    let (first, second) = (Outlet::new(a), Outlet::new(c));
    let (mut middle, mut last) = (Inlet::new(b, Limits::TRUSTED), Inlet::new(d, Limits::TRUSTED));
    let packets: Vec<Packet> = (0..20)
        .map(|number| {
            let mut packet = packet(&[number; 100], &[10, 1 << 20, 0, 300_000, 5000]);
            packet.buffers[1] = vec![number; 1 << 20].into();
            packet
        })
        .collect();
    // Several packets with descriptors of their own lie in the socket at once.
    for packet in &packets {
        first.send(packet.clone());
    }
    for packet in &packets {
        let arrived = middle.next().await.unwrap();
        assert_eq!(&arrived, packet);
        assert!(is_shared(&arrived.buffers[1]) && is_shared(&arrived.buffers[3]) && !is_shared(&arrived.buffers[4]));
        second.send(arrived);
        let arrived = last.next().await.unwrap();
        assert_eq!(&arrived, packet);
        assert!(is_shared(&arrived.buffers[1]));
    }
}

#[tokio::test]
async fn shared_memory_that_did_not_come_along_is_refused() {
    let (a, b) = pair();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&(SHARED | 100).to_le_bytes());
    bytes.extend_from_slice(&[0; 12]);
    a.write_all(&bytes).await.unwrap();
    let error = Inlet::new(b, Limits::TRUSTED).next().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
