import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.content.ByteBufferContentSource;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * Lets a request through that an access key of this run has signed (AWS Signature Version 4, body included), and no other.
 *
 * <p>DynamoDB Local looks at the form of a signature only, so any user of the machine could read and write its tables. The
 * check is here rather than in a proxy, because a proxy costs more than the database does for a read. The age of a signature
 * is not judged: none but root records what passes over loopback.
 */
final class SignedRequests extends Handler.Wrapper {
    private static final long MAX_BODY = 32L << 20; // the largest legal request, BatchWriteItem, has 16 MB
    private static final List<String> ALWAYS_SIGNED = List.of("host", "x-amz-date", "x-amz-target");

    private final Map<String, String> secrets; // by access key id
    private final Map<String, SecretKeySpec> signingKeys = new ConcurrentHashMap<>(); // by id and scope

    /** @param keys "id=secret", separated by spaces */
    SignedRequests(String keys) {
        secrets = Arrays.stream(keys.trim().split(" ")).map(k -> k.split("=", 2)).collect(Collectors.toMap(k -> k[0], k -> k[1]));
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        byte[] body = {};
        Claim claim = Claim.of(request);
        boolean known = secrets.containsKey(claim.id);
        if (known && request.getLength() >= 0 && request.getLength() <= MAX_BODY) {
            ByteBuffer read = Content.Source.asByteBuffer(request);
            body = new byte[read.remaining()];
            read.get(body);
        } else {
            known = false;
        }
        if (!known || !signed(claim, request, body)) {
            refuse(response, callback);
            return true;
        }
        return super.handle(new Reread(request, body, claim), response, callback);
    }

    /** What an Authorization header says; an id of "" for one that says nothing. */
    private record Claim(String id, String scope, String headers, String signature) {
        static Claim of(Request request) {
            String header = request.getHeaders().get(HttpHeader.AUTHORIZATION);
            String id = "", scope = "", headers = "", signature = "";
            if (header == null || !header.startsWith("AWS4-HMAC-SHA256 ")) {
                return new Claim(id, scope, headers, signature);
            }
            for (String part : header.substring("AWS4-HMAC-SHA256 ".length()).split(",")) {
                String[] pair = part.trim().split("=", 2);
                if (pair.length == 2 && pair[0].equals("Credential") && pair[1].contains("/")) {
                    id = pair[1].substring(0, pair[1].indexOf('/'));
                    scope = pair[1].substring(pair[1].indexOf('/') + 1);
                } else if (pair.length == 2 && pair[0].equals("SignedHeaders")) {
                    headers = pair[1];
                } else if (pair.length == 2 && pair[0].equals("Signature")) {
                    signature = pair[1];
                }
            }
            return new Claim(id, scope, headers, signature);
        }
    }

    private boolean signed(Claim claim, Request request, byte[] body) throws GeneralSecurityException {
        List<String> names = Arrays.asList(claim.headers.split(";"));
        String query = request.getHttpURI().getQuery();
        if (!request.getMethod().equals("POST") || !request.getHttpURI().getPath().equals("/") || query != null && !query.isEmpty() || !names.containsAll(ALWAYS_SIGNED)) {
            return false; // the API has one form; the shell and the rest are for none
        }
        String canonical = "POST\n/\n\n" + canonicalHeaders(request.getHeaders(), names) + "\n" + claim.headers + "\n" + hex(sha256(body));
        String date = request.getHeaders().get("X-Amz-Date");
        String text = "AWS4-HMAC-SHA256\n" + date + "\n" + claim.scope + "\n" + hex(sha256(canonical.getBytes(StandardCharsets.UTF_8)));
        SecretKeySpec key = signingKey(claim);
        return key != null && MessageDigest.isEqual(hex(hmac(key, text)).getBytes(StandardCharsets.UTF_8), claim.signature.getBytes(StandardCharsets.UTF_8));
    }

    private static String canonicalHeaders(HttpFields fields, List<String> names) {
        StringBuilder all = new StringBuilder();
        for (String name : names) {
            all.append(name);
            char separator = ':';
            for (HttpField field : fields) {
                if (field.getLowerCaseName().equals(name)) {
                    all.append(separator).append(trimmed(field.getValue()));
                    separator = ',';
                }
            }
            all.append(separator == ':' ? ":\n" : "\n");
        }
        return all.toString();
    }

    /** The value without blanks around it, and with one blank where there are several. */
    private static String trimmed(String value) {
        String text = value == null ? "" : value.trim();
        return text.contains("  ") ? text.replaceAll(" +", " ") : text;
    }

    private SecretKeySpec signingKey(Claim claim) throws GeneralSecurityException {
        String which = claim.id + "/" + claim.scope;
        SecretKeySpec known = signingKeys.get(which);
        if (known != null) {
            return known;
        }
        String[] scope = claim.scope.split("/");
        if (scope.length != 4 || !scope[2].equals("dynamodb") || !scope[3].equals("aws4_request")) {
            return null;
        }
        SecretKeySpec key = key(("AWS4" + secrets.get(claim.id)).getBytes(StandardCharsets.UTF_8));
        for (String part : scope) {
            key = key(hmac(key, part));
        }
        if (signingKeys.size() > 1000) { // a caller chooses date and region
            signingKeys.clear();
        }
        signingKeys.put(which, key);
        return key;
    }

    private static void refuse(Response response, Callback callback) {
        response.setStatus(400);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/x-amz-json-1.0");
        response.getHeaders().put(HttpHeader.CONNECTION, "close");
        Content.Sink.write(response, true, "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\"message\":"
            + "\"the request is not signed with an access key of this run; they are in build/run/aws.env, which changes with every start\"}", callback);
    }

    private static SecretKeySpec key(byte[] octets) { return new SecretKeySpec(octets, "HmacSHA256"); }

    private static byte[] hmac(SecretKeySpec key, String text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(key);
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] sha256(byte[] octets) throws GeneralSecurityException { return MessageDigest.getInstance("SHA-256").digest(octets); }

    private static String hex(byte[] octets) { return HexFormat.of().formatHex(octets); }

    /**
     * A request whose body can be read once more. DynamoDB Local takes the whole Authorization header apart to learn the access
     * key, twice; the signature has done its work here, so what goes on is as short as its form allows.
     */
    private static final class Reread extends Request.Wrapper {
        private final ByteBufferContentSource body;
        private final HttpFields headers;

        Reread(Request request, byte[] octets, Claim claim) {
            super(request);
            body = new ByteBufferContentSource(ByteBuffer.wrap(octets));
            headers = HttpFields.build(request.getHeaders()).put(HttpHeader.AUTHORIZATION,
                "AWS4-HMAC-SHA256 Credential=" + claim.id + "/" + claim.scope + ", SignedHeaders=host, Signature=0").asImmutable();
        }

        @Override
        public HttpFields getHeaders() { return headers; }

        @Override
        public Content.Chunk read() { return body.read(); }

        @Override
        public void demand(Runnable task) { body.demand(task); }
    }
}
