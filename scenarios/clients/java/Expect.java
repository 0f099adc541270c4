import java.util.Collection;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;

/** What a check says when it is not content. */
final class Expect {
    private Expect() {}

    static void that(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void equal(Object want, Object got, String what) {
        that(Objects.equals(want, got), what + " is " + got + ", want " + want);
    }

    static void contains(Collection<?> all, Object one, String what) {
        that(all.contains(one), what + " has no " + one + ": " + all);
    }

    /** A lone broker advertises itself as localhost, or as the address that it listens on. */
    static void address(String broker, Node node) {
        String port = broker.substring(broker.lastIndexOf(':'));
        String got = node.host() + ":" + node.port();
        that(got.equals(broker) || got.equals("localhost" + port), "the advertised address is " + got);
    }

    /** The future must fail with this class of exception, and a message that names what was wrong. */
    static void refused(Class<? extends Exception> want, String mention, KafkaFuture<?> future) throws Exception {
        thrown(want, mention, future::get);
    }

    static void thrown(Class<? extends Exception> want, String mention, Callable<?> action) throws Exception {
        Object result;
        try {
            result = action.call();
        } catch (Exception fault) {
            Throwable cause = fault instanceof ExecutionException ? fault.getCause() : fault;
            that(cause.getClass() == want, "want " + want.getSimpleName() + ", got " + cause);
            String message = String.valueOf(cause.getMessage());
            that(message.contains(mention), "the message does not name \"" + mention + "\": " + message);
            System.err.println("refused as it should be: " + cause);
            return;
        }
        throw new AssertionError("want " + want.getSimpleName() + " about \"" + mention + "\", but it succeeded with " + result);
    }

    /** Waits for what a broker may do a moment after it answered. */
    static void eventually(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (!holds.call()) {
            that(System.nanoTime() < deadline, "still not so: " + what);
            Thread.sleep(20);
        }
    }
}
