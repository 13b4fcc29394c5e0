import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.BeanDescription;
import com.fasterxml.jackson.databind.DeserializationConfig;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.deser.BeanDeserializerModifier;
import com.fasterxml.jackson.databind.deser.std.DelegatingDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.util.Callback;
import software.amazon.dynamodb.services.local.server.AbstractLocalDynamoDBServerHandler;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.shared.access.AmazonDynamoDBLocal;
import software.amazon.dynamodb.services.local.shared.access.LocalDBAccess;
import software.amazon.dynamodb.services.local.shared.access.LocalDBClient;
import software.amazon.dynamodb.services.local.shared.jobs.JobsRegister;

/**
 * Remembers the descriptions of tables. DynamoDB Local reads and parses a table's description several times for every item that
 * it touches, each time in a job of its own for another thread: a third of the time that a transaction takes.
 *
 * <p>A description counts until a call is made, or a job runs, that may change a table. While such a call is under way nothing
 * is remembered, because it changes the descriptions that it was given.
 */
final class TableDescriptions extends Handler.Wrapper {
    private static final String SHARED = "shared-local-instance"; // the name of the one database with -sharedDb
    private static final String SQLITE = "software.amazon.dynamodb.services.local.shared.access.sqlite.";
    /** The operations that leave descriptions as they are. */
    private static final Set<String> OF_ITEMS = Set.of("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan",
            "BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems", "GetRecords", "GetShardIterator");
    /** What changes descriptions in the database; a job may call it, too. */
    private static final Set<String> CHANGES =
            Set.of("createTable", "deleteTable", "updateTable", "createGSIColumns", "backfillGSI", "deleteGSI", "dilateEventTimes");
    private static final int MOST = 1000;

    private final Map<Object, Object> byName = new ConcurrentHashMap<>(); // a TableInfo
    private final Map<ByteBuffer, Object> byText = new ConcurrentHashMap<>(); // a TableSchemaInfo
    private final AtomicInteger changing = new AtomicInteger();
    private long changes; // how often everything was forgotten

    /** Takes the place of the server's handler, and of the database behind it. */
    TableDescriptions(Server server) throws ReflectiveOperationException {
        super(server.getHandler());
        rememberTexts();
        for (AbstractLocalDynamoDBServerHandler h : server.getDescendants(AbstractLocalDynamoDBServerHandler.class)) {
            Object requests = LoopbackDynamoDB.field(AbstractLocalDynamoDBServerHandler.class, "primaryHandler", h);
            Class<?> type = LocalDynamoDBRequestHandler.class;
            Method open = type.getDeclaredMethod("getDBAccess", String.class, String.class, boolean.class);
            open.setAccessible(true);
            Object database = open.invoke(null, SHARED, LoopbackDynamoDB.field(type, "dbFileLocation", requests),
                    LoopbackDynamoDB.field(type, "runInMemory", requests));
            @SuppressWarnings("unchecked")
            Map<String, AmazonDynamoDBLocal> databases =
                    (Map<String, AmazonDynamoDBLocal>) LoopbackDynamoDB.field(type, "dbRequestHandlers", requests);
            databases.put(SHARED, new LocalDBClient(remembering((LocalDBAccess) database),
                    new JobsRegister(Executors.newFixedThreadPool(2), false)));
        }
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String target = request.getHeaders().get("X-Amz-Target");
        if (target != null && OF_ITEMS.contains(target.substring(target.indexOf('.') + 1))) {
            return super.handle(request, response, callback);
        }
        changing.incrementAndGet();
        try {
            return super.handle(request, response, callback);
        } finally {
            forget();
            changing.decrementAndGet();
        }
    }

    private synchronized void forget() {
        changes++;
        byName.clear();
        byText.clear();
    }

    private synchronized long changes() {
        return changes;
    }

    private synchronized void remember(Object name, Object description, long asOf) {
        if (changes == asOf && description != null && byName.size() < MOST) {
            byName.put(name, description);
        }
    }

    private LocalDBAccess remembering(LocalDBAccess database) {
        return (LocalDBAccess) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {LocalDBAccess.class},
                (proxy, method, args) -> {
                    boolean asks = method.getName().equals("getTableInfo") && changing.get() == 0;
                    Object known = asks ? byName.get(args[0]) : null;
                    if (known != null) {
                        return known;
                    }
                    long asOf = changes();
                    try {
                        Object answer = method.invoke(database, args);
                        if (asks) {
                            remember(args[0], answer, asOf);
                        }
                        return answer;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    } finally {
                        if (CHANGES.contains(method.getName())) {
                            forget();
                        }
                    }
                });
    }

    /** The database itself reads descriptions, too, and knows them by their text. */
    private void rememberTexts() throws ReflectiveOperationException {
        Class<?> description = Class.forName(SQLITE + "TableSchemaInfo");
        ObjectMapper mapper = (ObjectMapper) LoopbackDynamoDB.field(Class.forName(SQLITE + "SQLiteDBAccessJob"), "MAPPER", null);
        mapper.registerModule(new SimpleModule("descriptions").setDeserializerModifier(new BeanDeserializerModifier() {
            @Override
            public JsonDeserializer<?> modifyDeserializer(DeserializationConfig c, BeanDescription of, JsonDeserializer<?> d) {
                return of.getBeanClass() == description ? new ByText(d) : d;
            }
        }));
    }

    private final class ByText extends DelegatingDeserializer {
        private static final long serialVersionUID = 1;

        ByText(JsonDeserializer<?> d) {
            super(d);
        }

        @Override
        protected JsonDeserializer<?> newDelegatingInstance(JsonDeserializer<?> d) {
            return new ByText(d);
        }

        @Override
        public Object deserialize(JsonParser p, DeserializationContext c) throws IOException {
            if (changing.get() > 0) {
                return super.deserialize(p, c);
            }
            ByteArrayOutputStream rest = new ByteArrayOutputStream(4096);
            rest.write('{'); // it is all that was read
            p.releaseBuffered(rest);
            byte[] text = rest.toByteArray();
            Object known = byText.get(ByteBuffer.wrap(text));
            if (known != null) {
                return known;
            }
            try (JsonParser again = p.getCodec().getFactory().createParser(text)) {
                again.nextToken();
                known = super.deserialize(again, c);
            }
            // An index that is being made or deleted is changed by a job.
            if (byText.size() < MOST && !new String(text, StandardCharsets.UTF_8).contains("ING\"")) {
                byText.put(ByteBuffer.wrap(text), known);
            }
            return known;
        }
    }
}
