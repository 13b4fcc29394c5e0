//! Verifies chains of client certificates with rustls-webpki: see README.md in the folder above.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::{env, fs, time::Duration};
use webpki::{anchor_from_trusted_cert, EndEntityCert, KeyUsage, ALL_VERIFICATION_ALGS};

fn ders(path: &str) -> Vec<CertificateDer<'static>> {
    let text = fs::read(path).expect("read certificates");
    let mut all = Vec::new();
    let mut rest = &text[..];
    while rest.len() >= 4 {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        all.push(CertificateDer::from(rest[4..4 + size].to_vec()));
        rest = &rest[4 + size..];
    }
    all
}

fn verify(roots: &str, chain: &str, at: UnixTime) -> Result<(), String> {
    let (roots, chain) = (ders(roots), ders(chain));
    let mut anchors: Vec<TrustAnchor> = Vec::new();
    for root in &roots {
        anchors.push(anchor_from_trusted_cert(root).map_err(|e| format!("anchor: {e:?}"))?);
    }
    let leaf = EndEntityCert::try_from(&chain[0]).map_err(|e| format!("{e:?}"))?;
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &chain[1..], at, KeyUsage::client_auth(), None, None)
        .map(|_| ())
        .map_err(|e| format!("{e:?}"))
}

fn main() {
    let args: Vec<String> = env::args().collect();
    if args.len() == 1 {
        println!("rustls-webpki 0.103.4");
        return;
    }
    let at = UnixTime::since_unix_epoch(Duration::from_secs(args[2].parse().expect("seconds")));
    for line in fs::read_to_string(&args[1]).expect("read the list").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match verify(&format!("{}.bin", fields[1]), &format!("{}.bin", fields[2]), at) {
            Ok(()) => println!("{}\tok", fields[0]),
            Err(why) => println!("{}\t{}", fields[0], why.replace(['\t', '\n'], " ")),
        }
    }
}
