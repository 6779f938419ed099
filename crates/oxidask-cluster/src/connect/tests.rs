use super::*;
use crate::auth::Secret;
use crate::protocol::{Build, Role, SessionHello};
use crate::security::Security;
use bytes::Bytes;

#[test]
fn addresses_are_read_and_written() {
    for text in ["unix:///tmp/a b/scheduler", "tcp://127.0.0.1:8786", "tcp://[::1]:0", "tls://a.b:1"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    assert_eq!("localhost:80".parse::<Address>().unwrap(), Address::Tcp("localhost".to_owned(), 80));
    for text in ["", "unix://", "tcp://", "nowhere", "tcp://host:port", "http://host:80"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

fn credentials(secret: &Secret, security: Security) -> Credentials {
    Credentials::new(secret.clone(), security)
}

#[tokio::test]
async fn only_encrypted_connections_leave_the_machine() {
    let secret = Secret::random().unwrap();
    let safe = credentials(&secret, Security::default());
    let open: Address = "tcp://0.0.0.0:0".parse().unwrap();
    let error = Listener::bind(&open, &safe).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.hint().unwrap().contains("tls://0.0.0.0:0"), "{error}");
    assert!(Listener::bind(&"tls://0.0.0.0:0".parse().unwrap(), &safe).await.is_ok());
    let unsafe_ = credentials(&secret, Security { allows_plain: true, ..Security::default() });
    assert!(Listener::bind(&open, &unsafe_).await.is_ok());
    let hello = Hello { role: Role::Reader, build: Build::current(), session: None };
    let error = dial(&"tcp://192.0.2.1:1".parse().unwrap(), &safe, &hello, PROOF_TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    for loopback in ["tcp://127.0.0.1:0", "tcp://127.0.0.2:0", "tcp://localhost:0", "tcp://[::1]:0"] {
        let listener = Listener::bind(&loopback.parse().unwrap(), &safe).await.unwrap();
        assert!(!listener.address().to_string().ends_with(":0"));
    }
}

/// Whether a client with `theirs` gets in at a listener with `ours`.
async fn meets(address: &str, ours: Credentials, theirs: Credentials) -> Result<()> {
    let listener = Listener::bind(&address.parse().unwrap(), &ours).await.unwrap();
    let address = listener.address().clone();
    let accepting = listener.serve(ours, |introduced: Introduced| async move {
        let (mut inlet, outlet) = introduced.accept(7);
        // Answers what it is told until the peer leaves.
        while let Ok(packet) = inlet.next().await {
            outlet.send(packet);
        }
        outlet.close();
    });
    let calling = async {
        let hello = Hello { role: Role::Reader, build: Build::current(), session: None };
        let mut connection = dial(&address, &theirs, &hello, PROOF_TIMEOUT).await?;
        assert_eq!(connection.number, 7);
        let buffers = vec![vec![5; 3 << 20].into(), vec![6; 100].into()];
        let packet = Packet { head: vec![1; 300_000].into(), buffers };
        connection.outlet.send(packet.clone());
        let failed = |cause: std::io::Error| Error::io("reading", &cause);
        assert_eq!(connection.inlet.next().await.map_err(failed)?, packet);
        connection.outlet.close();
        Ok(())
    };
    tokio::select! {
        () = accepting => unreachable!("a listener listens for ever"),
        met = calling => met,
    }
}

#[tokio::test]
async fn members_meet_encrypted_and_others_do_not() {
    let secret = Secret::random().unwrap();
    let (given, other) = (Security::temporary().unwrap(), Security::temporary().unwrap());
    let fresh = || credentials(&secret, Security::default());
    for address in ["tls://127.0.0.1:0", "tls://[::1]:0", "tcp://[::1]:0"] {
        meets(address, fresh(), fresh()).await.unwrap();
        meets(address, credentials(&secret, given.clone()), credentials(&secret, given.clone())).await.unwrap();
        let stranger = Credentials::from(Secret::random().unwrap());
        assert_eq!(meets(address, fresh(), stranger).await.unwrap_err().kind(), ErrorKind::Denied);
    }
    // A certificate of another authority, or none of any, at either end.
    for (ours, theirs) in
        [(given.clone(), other.clone()), (given.clone(), Security::default()), (Security::default(), given)]
    {
        let met = meets("tls://127.0.0.1:0", credentials(&secret, ours), credentials(&secret, theirs)).await;
        assert!(met.is_err());
    }
}

#[tokio::test]
async fn a_proof_cannot_be_handed_on_through_the_middle() {
    // Somebody in the middle has TLS connections to both ends and passes on
    // every byte: the proofs are bound to two different connections.
    let secret = Secret::random().unwrap();
    let member = credentials(&secret, Security::default());
    let middle = Credentials::from(Secret::random().unwrap());
    let listener = Listener::bind(&"tls://127.0.0.1:0".parse().unwrap(), &member).await.unwrap();
    let Address::Tls(_, port) = *listener.address() else { unreachable!() };
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trap_address = Address::Tls("127.0.0.1".to_owned(), trap.local_addr().unwrap().port());
    let passing = async {
        let victim = Stream::tcp(trap.accept().await.unwrap().0).unwrap();
        let victim = victim.encrypt(middle.tls().unwrap(), TlsEnd::Acceptor).await.unwrap();
        let server = Stream::tcp(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).unwrap();
        let server = server.encrypt(middle.tls().unwrap(), TlsEnd::Initiator).await.unwrap();
        let pump = async |from: &Stream, to: &Stream| {
            let mut bytes = bytes::BytesMut::new();
            while from.read_more(&mut bytes).await.is_ok() && to.write_all(&bytes).await.is_ok() {
                bytes.clear();
            }
        };
        tokio::join!(pump(&victim, &server), pump(&server, &victim));
    };
    let hello = Hello { role: Role::Reader, build: Build::current(), session: None };
    let error = tokio::select! {
        () = listener.serve(member.clone(), |_: Introduced| async { panic!("nobody must get in") }) => unreachable!(),
        () = passing => unreachable!("the victim leaves first"),
        dialled = dial(&trap_address, &member, &hello, PROOF_TIMEOUT) => dialled.unwrap_err(),
    };
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_dropped_connection_loses_and_repeats_nothing() {
    let secret = Secret::random().unwrap();
    let credentials = Credentials::from(secret);
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap(), &credentials).await.unwrap();
    let address = listener.address().clone();
    let session: Arc<std::sync::Mutex<Option<Outlet>>> = Arc::default();
    let serving = listener.serve(credentials.clone(), move |mut introduced: Introduced| {
        let session = session.clone();
        async move {
            let known = session.lock().unwrap().clone();
            let (mut inlet, outlet) = match known {
                Some(outlet) => {
                    introduced.resume(&outlet, 1).unwrap();
                    (introduced.into_inlet(), outlet)
                }
                None => introduced.accept(1),
            };
            *session.lock().unwrap() = Some(outlet.clone());
            while let Ok(packet) = inlet.next().await {
                outlet.send(packet);
            }
        }
    });
    let calling = async {
        let mut hello =
            Hello { role: Role::Reader, build: Build::current(), session: Some(SessionHello::begin().unwrap()) };
        let Connection { mut inlet, outlet, .. } = dial(&address, &credentials, &hello, PROOF_TIMEOUT).await.unwrap();
        let mut n_echoed = 0_u32;
        let mut n_drops = 0;
        for number in 0..1000_u32 {
            let size = if number % 50 == 0 { 200_000 } else { 10 };
            outlet.send(Packet {
                head: Bytes::copy_from_slice(&number.to_le_bytes()),
                buffers: vec![vec![number as u8; size].into()],
            });
            if number % 37 == 36 {
                outlet.drop_connection();
            }
            // Some packets are under way when the connection drops, some not.
            while n_echoed + number % 11 < number {
                match inlet.next().await {
                    Ok(packet) => {
                        assert_eq!(packet.head[..], n_echoed.to_le_bytes());
                        assert!(packet.buffers[0].iter().all(|&byte| byte == n_echoed as u8));
                        n_echoed += 1;
                    }
                    Err(_) => {
                        n_drops += 1;
                        hello.session.as_mut().unwrap().resumes = Some(outlet.n_received());
                        inlet = redial(&address, &credentials, &hello, &outlet, PROOF_TIMEOUT).await.unwrap();
                    }
                }
            }
        }
        assert!(n_drops >= 20, "{n_drops}");
        // A session that nobody remembers is refused.
        assert!(outlet.resume(Arc::new(Stream::unix(UnixStream::pair().unwrap().0).unwrap()), None, 5000).is_err());
        outlet.close();
    };
    tokio::select! {
        () = serving => unreachable!("a listener listens for ever"),
        () = calling => {}
    }
}
