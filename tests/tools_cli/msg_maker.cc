#include "tests/tools_cli/msg_maker.h"

#include <fmt/core.h>
#include <gsf/gsf-outfile-msole.h>
#include <gsf/gsf-outfile.h>
#include <gsf/gsf-output-stdio.h>
#include <gsf/gsf-utils.h>

namespace bobbin::test {
namespace {

void WriteStream(GsfOutfile* storage, const std::string& name, const std::string& bytes) {
  GsfOutput* stream = gsf_outfile_new_child(storage, name.c_str(), FALSE);
  gsf_output_write(stream, bytes.size(), reinterpret_cast<const guint8*>(bytes.data()));
  gsf_output_close(stream);
  g_object_unref(stream);
}

template <class Fill>
void WriteStorage(GsfOutfile* parent, const std::string& name, const Fill& fill) {
  GsfOutput* storage = gsf_outfile_new_child(parent, name.c_str(), TRUE);
  fill(GSF_OUTFILE(storage));
  gsf_output_close(storage);
  g_object_unref(storage);
}

bool IsInPlace(std::uint32_t tag) {
  const std::uint32_t type = tag & 0xFFFF;
  return (type & 0x1000) == 0 && type != 0x1E && type != 0x1F && type != 0x48 && type != 0x102;
}

void WriteProperties(GsfOutfile* storage, const MadeProperties& properties, std::size_t header) {
  std::string entries(header, '\0');
  for (const MadeProperty& property : properties) {
    const std::string name = fmt::format("__substg1.0_{:08X}", property.tag);
    entries += LittleEndianBytes(property.tag, 4) + LittleEndianBytes(6, 4);
    if (IsInPlace(property.tag)) {
      entries += property.value;
      continue;
    }
    entries += LittleEndianBytes(property.value.size(), 8);
    WriteStream(storage, name, property.value);
    for (std::size_t i = 0; i < property.values.size(); ++i) {
      WriteStream(storage, fmt::format("{}-{:08X}", name, i), property.values[i]);
    }
  }
  WriteStream(storage, "__properties_version1.0", entries);
}

void WriteMessage(GsfOutfile* storage, const MadeMessage& message, std::size_t header) {
  WriteProperties(storage, message.properties, header);
  for (std::size_t i = 0; i < message.recipients.size(); ++i) {
    WriteStorage(storage, fmt::format("__recip_version1.0_#{:08X}", i),
                 [&](GsfOutfile* part) { WriteProperties(part, message.recipients[i], 8); });
  }
  for (std::size_t i = 0; i < message.attachments.size(); ++i) {
    const MadeAttachment& made = message.attachments[i];
    WriteStorage(storage, fmt::format("__attach_version1.0_#{:08X}", i), [&](GsfOutfile* part) {
      WriteProperties(part, made.properties, 8);
      if (made.embedded == nullptr && !made.is_ole) return;
      WriteStorage(part, "__substg1.0_3701000D", [&](GsfOutfile* object) {
        if (made.embedded != nullptr) WriteMessage(object, *made.embedded, 24);
        if (made.is_ole) WriteStream(object, "CONTENTS", "what the object holds");
      });
    });
  }
}

}  // namespace

void WriteMsg(const std::filesystem::path& path, const MadeMessage& message,
              const MadeNames& names) {
  gsf_init();
  GsfOutput* file = gsf_output_stdio_new(path.c_str(), nullptr);
  GsfOutfile* root = gsf_outfile_msole_new(file);
  WriteStorage(root, "__nameid_version1.0", [&](GsfOutfile* storage) {
    WriteStream(storage, "__substg1.0_00020102", names.sets);
    WriteStream(storage, "__substg1.0_00030102", names.entries);
    WriteStream(storage, "__substg1.0_00040102", names.texts);
  });
  WriteMessage(root, message, 32);
  gsf_output_close(GSF_OUTPUT(root));  // And the file with it.
  g_object_unref(root);
  g_object_unref(file);
}

MadeProperty Fixed(std::uint32_t tag, std::uint64_t value) {
  return {tag, LittleEndianBytes(value, 8), {}};
}

MadeProperty Stored(std::uint32_t tag, std::string value) { return {tag, std::move(value), {}}; }

std::string Utf16(const std::string& ascii) {
  std::string text;
  for (const char c : ascii) {
    text.push_back(c);
    text.push_back('\0');
  }
  return text;
}

std::string LittleEndianBytes(std::uint64_t number, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i, number >>= 8) {
    text.push_back(static_cast<char>(number & 0xFF));
  }
  return text;
}

}  // namespace bobbin::test
