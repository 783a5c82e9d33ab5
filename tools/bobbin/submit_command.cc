// bobbin submit: queues a message from standard input, or a draft of the database.
#include <memory>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/submit.h"

namespace bobbin::cli {
namespace {

// Mail programs pass these to sendmail; here they are always so, or have no meaning.
void AddIgnoredOptions(CLI::App& command) {
  auto flag = std::make_shared<bool>(false);
  auto value = std::make_shared<std::vector<std::string>>();
  command.add_flag("-i", *flag, "Ignored: a line with a lone dot never ends the message")
      ->capture_default_str();
  for (const char* name : {"-o", "-b", "-B", "-O"}) {
    command
        .add_option_function<std::vector<std::string>>(
            name, [flag, value](const std::vector<std::string>&) {}, "Ignored, as for sendmail")
        ->expected(1)
        ->take_last();
  }
}

}  // namespace

void AddSubmitCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, line, "submit", "Queue a message from standard input, or a draft");
  auto request = std::make_shared<SubmitRequest>();
  command->add_option("RECIPIENT", request->recipients, "Envelope recipients");
  command->add_flag("-t", request->recipients_from_header,
                    "Also to the recipients in To, Cc and Bcc");
  CLI::Option* sender = command->add_option("-f,--from", request->sender,
                                            "Envelope sender; <> for none [user@hostname]");
  command->add_option("-F", request->full_name, "Name of the sender");
  command->add_option("--store", request->store, "Message store to submit through")
      ->capture_default_str();
  command->add_option("-N", request->notify,
                      "Report: never, or a list of success, failure and delay");
  command->add_option("-R", request->returned_content,
                      "Of the message, return with a report: full or hdrs");
  command->add_option("-V", request->envelope_id, "Envelope id, which reports repeat");
  command->add_option("--send-at", request->send_at,
                      "Not before this time: 2026-01-31T12:00:00Z, or +2h, +30m, +1d");
  command->add_flag("--keep", request->keep, "Keep it in Sent Items when it is delivered");
  command->add_flag("-q,--quiet", request->quiet, "Do not print the queue id");
  CLI::Option* draft = command->add_option(
      "--id", request->draft_id, "Queue this draft of the database, to its own recipients");
  for (const char* of_input : {"RECIPIENT", "-t", "--store", "-N", "-R", "-V", "--keep"}) {
    draft->excludes(command->get_option(of_input));
  }
  AddJsonOption(*command, line);
  AddIgnoredOptions(*command);
  command->callback([&line, request, sender] {
    request->sender_given = sender->count() > 0;
    line.run = [&line, request] { return RunSubmit(line, *request); };
  });
}

}  // namespace bobbin::cli
