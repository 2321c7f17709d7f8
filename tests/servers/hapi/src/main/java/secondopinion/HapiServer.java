package secondopinion;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.narrative2.NullNarrativeGenerator;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** Starts a HAPI FHIR R4 server on a loopback port and says on standard output when it is ready. */
public final class HapiServer {

    private HapiServer() {
    }

    /**
     * Flags: {@code --port N} (0 takes a free one), {@code --allow-external-references},
     * {@code --search-cache-ms N} (0 never reuses a search), {@code --subscriptions}, {@code --exit-with-parent}.
     */
    public static void main(String[] argv) throws Exception {
        List<String> args = Arrays.asList(argv);
        if (args.contains("--exit-with-parent")) {
            exitWhenStandardInputEnds();
        }
        ApplicationContext beans = openBeans(args);
        String base = serve(beans, (int) number(args, "--port", 0));
        System.out.println("HAPI ready " + base);
    }

    private static ApplicationContext openBeans(List<String> args) {
        JpaStorageSettings settings = ServerConfig.settings(
                args.contains("--allow-external-references"), number(args, "--search-cache-ms", 0));
        AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext();
        beans.registerBean(JpaStorageSettings.class, () -> settings);
        beans.register(ServerConfig.class);
        if (args.contains("--subscriptions")) {
            beans.register(SubscriptionConfig.class);
        }
        beans.refresh();
        return beans;
    }

    private static String serve(ApplicationContext beans, int port) throws Exception {
        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        connector.open(); // binds now, so that the port is known before HAPI writes it into links
        jetty.addConnector(connector);
        String base = "http://127.0.0.1:" + connector.getLocalPort() + "/fhir";
        jetty.setHandler(handler(fhirServlet(beans, base)));
        jetty.start();
        return base;
    }

    private static ServletContextHandler handler(RestfulServer servlet) {
        ServletHolder holder = new ServletHolder("fhir", servlet);
        holder.setInitOrder(1);
        ServletContextHandler handler = new ServletContextHandler();
        handler.addServlet(holder, "/fhir/*");
        return handler;
    }

    private static RestfulServer fhirServlet(ApplicationContext beans, String base) {
        FhirContext context = beans.getBean(FhirContext.class);
        context.setNarrativeGenerator(new NullNarrativeGenerator());
        RestfulServer servlet = new RestfulServer(context);
        servlet.registerProviders(beans.getBean("myResourceProvidersR4", ResourceProviderFactory.class).createProviders());
        servlet.registerProvider(beans.getBean(IJpaSystemProvider.class));
        servlet.registerProvider(beans.getBean(ValueSetOperationProvider.class));
        servlet.setServerConformanceProvider(capabilities(beans, servlet));
        servlet.setPagingProvider(paging(beans));
        servlet.setDefaultResponseEncoding(EncodingEnum.JSON);
        servlet.setServerAddressStrategy(new HardcodedServerAddressStrategy(base));
        return servlet;
    }

    private static JpaCapabilityStatementProvider capabilities(ApplicationContext beans, RestfulServer servlet) {
        return new JpaCapabilityStatementProvider(
                servlet,
                beans.getBean("mySystemDaoR4", IFhirSystemDao.class),
                beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean(IValidationSupport.class));
    }

    private static DatabaseBackedPagingProvider paging(ApplicationContext beans) {
        DatabaseBackedPagingProvider paging = beans.getBean(DatabaseBackedPagingProvider.class);
        paging.setDefaultPageSize(20);
        paging.setMaximumPageSize(500);
        return paging;
    }

    private static long number(List<String> args, String flag, long otherwise) {
        int at = args.indexOf(flag);
        return at < 0 ? otherwise : Long.parseLong(args.get(at + 1));
    }

    private static void exitWhenStandardInputEnds() {
        Thread watcher = new Thread(() -> {
            drainStandardInput();
            System.exit(0);
        }, "exit-with-parent");
        watcher.setDaemon(true);
        watcher.start();
    }

    private static void drainStandardInput() {
        try {
            while (System.in.read() >= 0) {
                // nothing is sent: only the end counts
            }
        } catch (IOException gone) {
            // a broken pipe is an end too
        }
    }
}
