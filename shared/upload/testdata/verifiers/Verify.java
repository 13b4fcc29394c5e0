import java.io.DataInputStream;
import java.io.EOFException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Verifies chains of client certificates with Java's PKIX: see README.md in this folder. */
public class Verify {
    public static void main(String[] args) throws Exception {
        Date at = new Date(Long.parseLong(args[1]) * 1000);
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] fields = line.split("\t");
            String said;
            try {
                build(read(fields[1]), read(fields[2]), at);
                said = "ok";
            } catch (Exception e) {
                Throwable cause = e;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                said = String.valueOf(cause).replaceAll("\\s+", " ");
            }
            System.out.println(fields[0] + "\t" + said);
        }
    }

    static void build(List<X509Certificate> roots, List<X509Certificate> chain, Date at) throws Exception {
        Set<TrustAnchor> anchors = new HashSet<>();
        for (X509Certificate root : roots) {
            anchors.add(new TrustAnchor(root, null));
        }
        X509CertSelector leaf = new X509CertSelector();
        leaf.setCertificate(chain.get(0));
        leaf.setExtendedKeyUsage(Set.of("1.3.6.1.5.5.7.3.2"));
        PKIXBuilderParameters how = new PKIXBuilderParameters(anchors, leaf);
        how.setRevocationEnabled(false);
        how.setDate(at);
        how.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(chain)));
        CertPathBuilder.getInstance("PKIX").build(how);
    }

    static List<X509Certificate> read(String file) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        List<X509Certificate> all = new ArrayList<>();
        try (DataInputStream in = new DataInputStream(Files.newInputStream(Path.of(file + ".bin")))) {
            while (true) {
                byte[] der = new byte[in.readInt()];
                in.readFully(der);
                all.add((X509Certificate) factory.generateCertificate(new java.io.ByteArrayInputStream(der)));
            }
        } catch (EOFException end) {
            return all;
        }
    }
}
