import java.lang.reflect.Field;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * Starts DynamoDB Local bound to 127.0.0.1; it has no option for that and binds every interface.
 *
 * <p>The port is the system property "loopback.port", 0 for a free one; the one that was bound is printed. The environment
 * variable LOOPBACK_KEYS, if it is set, holds the access keys that requests have to be signed with (see SignedRequests): the
 * environment of a process is readable by its owner only, its command line by all. The process ends when its standard input
 * does, so that it never outlives its parent.
 */
public final class LoopbackDynamoDB {
    public static void main(String[] args) {
        try {
            run(args);
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1); // the database has threads of its own
        }
    }

    private static void run(String[] args) throws Exception {
        DynamoDBProxyServer local = ServerRunner.createServerFromCommandLineArgs(args);
        Server server = (Server) field(DynamoDBProxyServer.class, "server", local);
        server.setHandler(new TableDescriptions(server));
        String keys = System.getenv("LOOPBACK_KEYS");
        if (keys != null && !keys.isBlank()) {
            SignedRequests check = new SignedRequests(keys);
            check.setHandler(server.getHandler());
            server.setHandler(check);
        }
        Connector[] connectors = server.getConnectors();
        if (connectors.length != 1) {
            throw new IllegalStateException("expected one connector, found " + connectors.length);
        }
        ServerConnector connector = (ServerConnector) connectors[0];
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.getInteger("loopback.port", 0));
        local.start();
        System.out.println("loopback.port=" + connector.getLocalPort());
        System.out.flush();
        while (System.in.read() >= 0) {
            // Nothing is ever sent; only the end counts.
        }
        System.exit(0);
    }

    /** Reads a field that DynamoDB Local keeps to itself. */
    static Object field(Class<?> of, String name, Object from) throws ReflectiveOperationException {
        Field field = of.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(from);
    }
}
